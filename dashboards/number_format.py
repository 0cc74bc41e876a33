"""How numbers are written: enough digits to compare, never more than were measured, no exponents.

A column shares its decimals so that the points line up; the smallest value then decides how many.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeGuard

from dashboards.load_rows import LoadKind

SIGNIFICANT_DIGITS = 3
MAX_DIGITS = 5  # the largest value of a column may show that many before decimals are cut
MAX_DECIMALS = 9
LOAD_DIGITS = 4


def usable(value: float | None) -> TypeGuard[float]:
    """Whether there is a number to write: not missing, not infinite, not NaN."""
    return value is not None and math.isfinite(value)


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def decimals_for(values: Iterable[float | None]) -> int:
    """Decimals for a column: three digits for its smallest value, at most five for its largest."""
    sizes = [_exponent(v) for v in values if usable(v) and v != 0]
    if not sizes:
        return 0
    fine = SIGNIFICANT_DIGITS - 1 - min(sizes)
    coarse = max(MAX_DIGITS - 1 - max(sizes), SIGNIFICANT_DIGITS - 1 - max(sizes))
    return max(0, min(fine, coarse, MAX_DECIMALS))


def number(value: float, decimals: int | None = None) -> str:
    """A plain number with thousands separators; on its own it gets three significant digits."""
    return f"{value:,.{decimals_for([value]) if decimals is None else decimals}f}"


def money(usd: float, decimals: int | None = None) -> str:
    """Dollars: `$0.000412`."""
    return f"${number(usd, decimals)}"


def share(value: float) -> str:
    """A share as a percentage; only a share of exactly 1 is written as 100%."""
    if value < 1 and round(value * 100, 1) >= 100:
        return ">99.9%"
    return "100%" if value == 1 else f"{value * 100:.1f}%"


def ratio(value: float) -> str:
    """A ratio such as `0.71×`."""
    return f"{value:.2f}×" if value < 9.995 else f"{value:.1f}×"


def duration(seconds: float) -> str:
    """Seconds, in milliseconds below one second."""
    return f"{number(seconds * 1000)} ms" if abs(seconds) < 1 else f"{number(seconds)} s"


def load_number(value: float) -> str:
    """A load's number alone, without zeros that say nothing: `12`, `0.5`, `3.367`, `1,000`."""
    decimals = max(0, LOAD_DIGITS - 1 - _exponent(value)) if value else 0
    written = number(value, decimals)
    return written.rstrip("0").rstrip(".") if decimals else written


def loads(value: float, kind: LoadKind) -> str:
    """A load in words: `1 stream`, `8 streams`, `2 requests/s`."""
    unit = "stream" if kind == "streams" else "request"
    plural = "" if value == 1 else "s"
    return f"{load_number(value)} {unit}{plural}{'/s' if kind == 'rate' else ''}"

"""Rates and kinds of arrivals as a command line says them: read, and written back.

    10                       ten requests per second
    2@30s,2-10@60s,10        two for half a minute, a ramp of a minute up to ten, then ten

A step is RATE@DURATION, a ramp FROM-TO@DURATION; the last rate goes on for ever. Durations take ms, s, min or h.
"""

from __future__ import annotations

import difflib
import math
import re

from accounting.errors import ConfigError
from loadtest.arrivals.rate_profile import RateProfile
from loadtest.config import RateSegment

_UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_PART = re.compile(rf"({_NUMBER})(?:\s*-\s*({_NUMBER}))?(?:\s*@\s*(.*))?")
_DURATION = re.compile(rf"({_NUMBER})\s*([^\W\d]*)")
_RATE_HINT = "write a rate as '10', a step as '10@60s', a ramp as '2-10@60s', several with commas between"
_KINDS = {"poisson": 1.0, "constant": 0.0}


def parse_rates(text: str) -> tuple[RateSegment, ...]:
    """The rate profile in this text.

    Raises:
        ConfigError: if it is none, or one in which nothing ever arrives.
    """
    segments = tuple(_segment(part.strip(), text) for part in text.split(","))
    RateProfile(segments)
    return segments


def format_rates(segments: tuple[RateSegment, ...]) -> str:
    """The shortest text that `parse_rates` reads back as exactly these segments."""
    return ",".join(map(_segment_text, segments))


def parse_arrivals(text: str) -> float:
    """The coefficient of variation of the gaps that `poisson`, `constant` or `gamma:CV` stands for.

    Raises:
        ConfigError: if it is none of them.
    """
    kind, colon, cv = text.strip().partition(":")
    kind = kind.strip().lower()
    if kind in _KINDS and not colon:
        return _KINDS[kind]
    if kind == "gamma":
        try:
            value = float(cv)
        except ValueError:
            value = math.nan
        if math.isfinite(value) and value > 0:
            return value
        raise ConfigError(
            f"arrivals {text!r}: gamma needs the coefficient of variation of its gaps, a number above 0",
            hint="write gamma:2 for bursts, gamma:0.5 for something steadier than poisson (which is gamma:1)",
        )
    near = difflib.get_close_matches(kind, (*_KINDS, "gamma"), n=1)
    raise ConfigError(
        f"arrivals {text!r} are unknown; allowed: poisson, constant, gamma:CV",
        hint=f"did you mean {near[0]!r}?" if near else "poisson is what independent users do",
    )


def format_arrivals(cv: float) -> str:
    """The text that `parse_arrivals` reads back as this coefficient of variation."""
    return {value: kind for kind, value in _KINDS.items()}.get(cv, f"gamma:{_number(cv)}")


def parse_duration_s(text: str) -> float:
    """Seconds in a text such as 500ms, 60s, 1.5min or 1h; a bare number is seconds.

    Raises:
        ConfigError: if it is no duration.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is no duration", hint="write 500ms, 60s, 2min or 1h")
    number, unit = found.groups()
    if unit and unit not in _UNITS_S:
        near = difflib.get_close_matches(unit, _UNITS_S, n=1, cutoff=0.3)
        raise ConfigError(
            f"{text!r}: the unit {unit!r} is unknown; allowed: {', '.join(_UNITS_S)}",
            hint=f"did you mean {number}{near[0]}?" if near else "write 500ms, 60s, 2min or 1h",
        )
    return float(number) * _UNITS_S[unit or "s"]


def _segment(part: str, text: str) -> RateSegment:
    found = _PART.fullmatch(part)
    if found is None:
        raise ConfigError(f"rate {text!r}: {part!r} is no rate, step or ramp", hint=_RATE_HINT)
    start, end, duration = found.groups()
    duration_s = 0.0
    if duration is not None:
        try:
            duration_s = parse_duration_s(duration)
        except ConfigError as error:
            raise ConfigError(f"rate {text!r}: {error.message}", hint=error.hint) from error
        if duration_s <= 0:
            raise ConfigError(f"rate {text!r}: {part!r} lasts no time", hint=_RATE_HINT)
    return RateSegment(
        start=float(start), end=float(end if end is not None else start), duration_s=duration_s
    )


def _segment_text(segment: RateSegment) -> str:
    text = _number(segment.start)
    if segment.end != segment.start:
        text += f"-{_number(segment.end)}"
    return f"{text}@{_number(segment.duration_s)}s" if segment.duration_s else text


def _number(value: float) -> str:
    """As short as reads back the same."""
    return repr(value).removesuffix(".0")

"""Which lengths a synthetic workload may ask for: a number of tokens, or a distribution of them."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable

from accounting.errors import ConfigError

#: A draw of one length in tokens, at least 1.
LengthDraw = Callable[[random.Random], int]

_CALL = re.compile(r"(normal|lognormal|uniform)\(\s*([^,()]+?)\s*,\s*([^,()]+?)\s*\)")
ALLOWED = "a whole number, normal(mean, sd), lognormal(mean, sd) or uniform(least, most)"


def read_length(text: str, *, origin: str) -> LengthDraw:
    """The draw that `text` describes.

    `normal` and `lognormal` take mean and standard deviation of the length itself, in tokens; `uniform` its
    bounds, both included. What is drawn is rounded, and is at least one token.

    Raises:
        ConfigError: saying what is allowed.
    """
    if text.isascii() and text.isdigit() and int(text) >= 1:
        tokens = int(text)
        return lambda rng: tokens
    match = _CALL.fullmatch(text)
    numbers = [_number(match[group]) for group in (2, 3)] if match else []
    first, second = (*numbers, None, None)[:2]
    if match is None or first is None or second is None:
        raise ConfigError(f"{origin} cannot be used. Allowed: {ALLOWED}.", hint="Lengths are in tokens.")
    return _distribution(match[1], first, second, origin)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _distribution(kind: str, first: float, second: float, origin: str) -> LengthDraw:
    if kind == "uniform":
        if not (first.is_integer() and second.is_integer() and 1 <= first <= second):
            raise ConfigError(f"{origin}: uniform takes whole numbers with 1 <= least <= most.")
        return lambda rng: rng.randint(int(first), int(second))
    if not (first >= 1 and second > 0):
        raise ConfigError(f"{origin}: {kind} takes a mean of at least 1 and a standard deviation above 0.")
    if kind == "normal":
        return lambda rng: max(1, round(rng.normalvariate(first, second)))
    # Mean m and standard deviation s of the length: sigma^2 = ln(1 + s^2/m^2), mu = ln m - sigma^2/2.
    variance = math.log1p((second / first) ** 2)
    return lambda rng: max(1, round(rng.lognormvariate(math.log(first) - variance / 2, math.sqrt(variance))))

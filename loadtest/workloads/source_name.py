"""What a workload's name says: `format:path?options`, or parts with weights, `chat*0.7+copy*0.3`."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection
from dataclasses import dataclass

from accounting.errors import ConfigError

_FORMAT = re.compile(r"([A-Za-z][A-Za-z0-9_-]+):(.*)", re.DOTALL)
_WEIGHTED = re.compile(r"(.+?)\*([^*+]*)(?:\+|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SourceName:
    """One source: its format (empty where none is given), its path or name, its options as written."""

    format: str
    path: str
    options: str


def split_source(text: str, formats: Collection[str]) -> SourceName:
    """The parts of a name that is no mix.

    Raises:
        ConfigError: if it names a format that is not among `formats`.
    """
    match = _FORMAT.fullmatch(text)
    name, rest = (match[1], match[2]) if match else ("", text)
    if name and name not in formats:
        nearest = difflib.get_close_matches(name.lower().replace("_", "-"), formats, n=1)
        guess = f"Did you mean `{nearest[0]}:`? " if nearest else ""
        raise ConfigError(
            f"{text}: there is no format {name!r}. Allowed: {', '.join(formats)}.",
            hint=f"{guess}A path that holds a colon is written with ./ before it.",
        )
    if name and not rest:
        raise ConfigError(f"{text}: nothing stands behind {name!r}:.", hint="Write it as format:path.")
    path, mark, options = rest.rpartition("?")
    if not mark or (options and "=" not in options):
        path, options = rest, ""
    return SourceName(name, path, options)


def split_mix(text: str) -> list[tuple[str, float]]:
    """(source, weight) for each part; empty if the name is no mix.

    Raises:
        ConfigError: if a part has no weight, or one that is not above 0.
    """
    if "*" not in text:
        return []
    parts, position = [], 0
    while position < len(text):
        match = _WEIGHTED.match(text, position)
        if match is None:
            raise ConfigError(
                f"{text}: the part {text[position:]!r} of the mix has no weight.",
                hint="Write each part with one: chat*0.7+copy*0.3.",
            )
        parts.append((match[1], _weight(match[2], text)))
        position = match.end()
    if text.endswith("+"):
        raise ConfigError(f"{text}: nothing stands behind the last +.", hint="Write it as chat*0.7+copy*0.3.")
    return parts


def _weight(text: str, mix: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not (weight > 0 and math.isfinite(weight)):
        raise ConfigError(
            f"{mix}: the weight {text!r} cannot be used. It must be a number above 0.",
            hint="Weights are shares of the requests; they need not sum to 1.",
        )
    return weight

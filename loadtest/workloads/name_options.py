"""Which options stand behind a workload's name, such as `?scale=0.05&limit=400`, and what each may be."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from accounting.errors import ConfigError

Options = TypeVar("Options", bound=msgspec.Struct)


def option_pairs(text: str, *, origin: str, separator: str = "&") -> dict[str, str]:
    """Key -> value as written; a separator inside brackets belongs to the value.

    Raises:
        ConfigError: naming what is no option, or is given twice.
    """
    pairs: dict[str, str] = {}
    for piece in _pieces(text, separator):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not key or not equals or not value:
            raise ConfigError(
                f"{origin}: {piece!r} is no option. An option is written key=value.",
                hint=f"Separate options with {separator!r}.",
            )
        if key in pairs:
            raise ConfigError(f"{origin}: the option {key!r} is given twice.", hint="Give it once.")
        pairs[key] = value
    return pairs


def checked_options(pairs: Mapping[str, str], options_type: type[Options], *, origin: str) -> Options:
    """The pairs as `options_type` takes them.

    Raises:
        ConfigError: naming the option that is unknown or of no allowed value.
    """
    allowed = options_type.__struct_fields__
    for key in pairs:
        if key not in allowed:
            nearest = difflib.get_close_matches(key.lower(), allowed, n=1, cutoff=0.0)
            raise ConfigError(
                f"{origin}: unknown option {key!r}. Allowed: {', '.join(allowed) or 'none'}.",
                hint=f"Did you mean {nearest[0]!r}?" if nearest else "This format takes no options.",
            )
    for key, value in pairs.items():
        try:
            found = getattr(msgspec.convert({key: value}, options_type, strict=False), key)
        except msgspec.ValidationError as error:
            expected = str(error).partition(" - at")[0].partition(", got")[0].replace("`", "")
            raise ConfigError(
                f"{origin}: {key}={value} cannot be used: {expected}.", hint=_allowed(options_type, key)
            ) from error
        if isinstance(found, float) and not math.isfinite(found):
            raise ConfigError(f"{origin}: {key}={value} cannot be used: it must be a finite number.")
    return msgspec.convert(dict(pairs), options_type, strict=False)


def _allowed(options_type: type[msgspec.Struct], key: str) -> str:
    """The words that the option takes, if it takes words."""
    kind = msgspec.json.schema(options_type)
    properties = kind["$defs"][options_type.__name__]["properties"][key]
    words = [word for choice in properties.get("anyOf", [properties]) for word in choice.get("enum", ())]
    return f"Allowed: {', '.join(words)}." if words else ""


def as_said(pairs: Mapping[str, str]) -> str:
    """The options as they were written, to stand behind a workload's source."""
    return "".join(f", {key}={value}" for key, value in pairs.items())


def _pieces(text: str, separator: str) -> list[str]:
    pieces, depth, piece = [], 0, ""
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == separator and depth == 0:
            pieces.append(piece)
            piece = ""
        else:
            piece += character
    return [*pieces, piece] if text else []

"""Which names a misspelt one may mean, and when two spellings are the same name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

#: Below this likeness (difflib's ratio, 0 to 1) a name is no suggestion.
_LIKE = 0.6


def spelled(name: str) -> str:
    """A name without what makes no difference: case, and whether words are parted by spaces, dashes or underscores."""
    return re.sub(r"[\s_-]+", "-", name.strip().lower())


def nearest_names(name: str, spellings: Mapping[str, Iterable[str]], most: int = 3) -> list[str]:
    """Names of which one of the spellings is like `name`, the likest first, in the order given where they tie."""
    wanted = spelled(name)
    likeness = {
        known: max((_ratio(wanted, spelled(one)) for one in written), default=0.0)
        for known, written in spellings.items()
    }
    like = [known for known, ratio in likeness.items() if ratio >= _LIKE]
    return sorted(like, key=lambda known: -likeness[known])[:most]


def nearest_sentence(name: str, spellings: Mapping[str, Iterable[str]]) -> str:
    """`; the nearest names are a, b and c`, or nothing."""
    near = nearest_names(name, spellings)
    if not near:
        return ""
    if len(near) == 1:
        return f"; the nearest name is {near[0]}"
    return f"; the nearest names are {', '.join(near[:-1])} and {near[-1]}"


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()

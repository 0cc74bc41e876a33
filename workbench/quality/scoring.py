"""Is an answer right? Rules that survive answers which are empty, cut off or endless. Code is judged elsewhere."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from workbench.quality.items import Judging, QualityItem

MAX_DIGITS = 60  # a longer row of digits is a model that cannot stop, not a number

# A minus belongs to the number unless something it could be subtracted from stands before it.
_NUMBER = re.compile(r"(?<![\w.,)])-?\$?\d[\d,]*(?:\.\d+)?|\d[\d,]*(?:\.\d+)?", re.ASCII)
_EDGES = " \t\n.,;:!?\"'`*()[]"


def is_right(item: QualityItem, answer: str) -> bool:
    """Whether the answer is right, for every way of judging but code."""
    match item.judging:
        case Judging.LAST_NUMBER:
            given, wanted = last_number(answer), last_number(item.expected)
            return given is not None and given == wanted
        case Judging.EXACT:
            return normalised(answer) == normalised(item.expected)
        case Judging.CONTAINS:
            return normalised(item.expected) in normalised(answer)
        case Judging.CODE:
            raise ValueError("code is judged by executing it")


def last_number(text: str) -> Decimal | None:
    """The last number in a text, None without one; thousands commas and a dollar sign do not count."""
    found = None
    for found in _NUMBER.finditer(text):  # noqa: B007 - only the last one is wanted
        pass
    if found is None:
        return None
    digits = found.group().replace(",", "").replace("$", "")
    return Decimal(digits) if len(digits) <= MAX_DIGITS else None


def normalised(text: str) -> str:
    """Text without what does not matter: width and case of letters, runs of space, marks at both ends."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(_EDGES)

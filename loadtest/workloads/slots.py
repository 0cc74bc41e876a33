"""Which word goes into which slot of a pattern.

A pattern is plain text with slots: `{fruit}` takes a fruit that this text has not used yet, so a list never
names one thing twice; `{fruit1}` (a name ending in a digit) takes one and remembers it, so that a later
`{fruit1}` is the same fruit. All randomness comes from the generator that the caller passes in.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

Vocabulary = Mapping[str, Sequence[str]]

# "a apple" -> "an apple", but "a useful tool", "a one-way street", "a European town" stay.
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])(?!uni|use|usu|one\b|once\b|[Ee]u)")


class Slots:
    """Fills the slots of the patterns that together make one text."""

    def __init__(
        self, rng: random.Random, vocabulary: Vocabulary, fixed: Mapping[str, str] | None = None
    ) -> None:
        self._rng = rng
        self._vocabulary = vocabulary
        self._remembered: dict[str, str] = dict(fixed or {})
        self._used: dict[str, set[str]] = {}

    def __getitem__(self, slot: str) -> str:
        """The text for one slot; `str.format_map` calls this for every slot it meets."""
        if slot in self._remembered:
            return self._remembered[slot]
        kind = slot.rstrip("0123456789")
        word = self._unused(kind)
        if kind != slot:
            self._remembered[slot] = word
        return word

    def fill(self, pattern: str) -> str:
        """The pattern with every slot filled and its articles right."""
        return _ARTICLE.sub(r"\1n ", pattern.format_map(self))

    def _unused(self, kind: str) -> str:
        words = self._vocabulary[kind]
        used = self._used.setdefault(kind, set())
        if len(used) >= len(words):
            raise ValueError(f"a text asks for more than the {len(words)} words of the slot {kind!r}")
        while (word := self._rng.choice(words)) in used:
            pass
        used.add(word)
        return word

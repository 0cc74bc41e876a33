"""What the passages, lists and records look like that the `copy` workload hands over to be copied.

A passage is a day's small report of 60 to 130 words: an opening, sentences from a list of patterns in random
order, and a closing. Names, places, numbers and dates are drawn anew for each, so that the only way to write
the answer is to copy it from the prompt.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from loadtest.workloads.passage_patterns import Patterns
from loadtest.workloads.passage_words import VOCABULARY
from loadtest.workloads.slots import Slots

_ITEM_PATTERNS = ("{number} {colour} {goods} from {town}", "{number} {material} {goods} for {person}")


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage and the details in it that an instruction can ask to change."""

    sentences: tuple[str, ...]
    person: str
    town: str
    date: str  # such as "14 March"; it stands in the passage once
    numbers: tuple[str, ...]  # written in digits, each standing in the passage once

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(self.sentences)


def passage(
    rng: random.Random, patterns: Patterns, *, least_words: int = 66, most_words: int = 112
) -> Passage:
    """A passage whose length in words lies between the two bounds."""
    slots = Slots(rng, VOCABULARY)
    opening = slots.fill(rng.choice(patterns.openings))
    closing = slots.fill(rng.choice(patterns.closings))
    sentences = [opening, closing]
    target = rng.randint(least_words, most_words)
    words = _words(opening) + _words(closing)
    for pattern in rng.sample(patterns.middles, k=len(patterns.middles)):
        if words >= target:
            break
        sentence = slots.fill(pattern)
        if words + _words(sentence) <= most_words:
            sentences.insert(-1, sentence)
            words += _words(sentence)
    tokens = {word.strip(".,") for sentence in sentences for word in sentence.split()}
    return Passage(
        sentences=tuple(sentences),
        person=slots["person1"],
        town=slots["town1"],
        date=f"{slots['day1']} {slots['month1']}",
        numbers=tuple(number for number in VOCABULARY["number"] if number in tokens),
    )


def passage_with_number(rng: random.Random, patterns: Patterns) -> Passage:
    """A passage that holds at least one number besides its date."""
    while not (made := passage(rng, patterns)).numbers:
        pass
    return made


def item_list(rng: random.Random) -> tuple[str, ...]:
    """Twelve to eighteen goods with count, look and origin: 60 words or more in all."""
    whole = Slots(rng, VOCABULARY)
    items = []
    for _ in range(rng.randint(12, 18)):
        # Counts and goods occur once in the list; looks and origins are too few for that.
        item = Slots(rng, VOCABULARY, {"number": whole["number"], "goods": whole["goods"]})
        items.append(item.fill(rng.choice(_ITEM_PATTERNS)))
    return tuple(items)


def record(rng: random.Random, patterns: Patterns) -> tuple[tuple[str, str], ...]:
    """A record as (field name, value): some of the split's fields in their order, and three notes."""
    slots = Slots(rng, VOCABULARY)
    chosen = sorted(rng.sample(range(len(patterns.fields)), k=rng.randint(7, 9)))
    first, second = rng.sample(patterns.middles, k=2)
    fields = (
        *(patterns.fields[index] for index in chosen),
        ("Note", first),
        ("Second note", second),
        ("Last note", rng.choice(patterns.closings)),
    )
    return tuple((name, slots.fill(pattern)) for name, pattern in fields)


def _words(sentence: str) -> int:
    return len(sentence.split())

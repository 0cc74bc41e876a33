"""Which questions the `shared` workload asks of a few long texts that many requests have in common.

Each prompt begins with one of four bulletins of its split, some 700 tokens each, and ends with a short
question. A server that keeps the KV blocks of a known beginning reads a bulletin once; one that does not
reads it for every request. Bulletins and question templates belong to one split each.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache, partial

from loadtest.workloads.passage_patterns import PATTERNS
from loadtest.workloads.passage_words import VOCABULARY
from loadtest.workloads.passages import passage
from loadtest.workloads.prompt import Split, Workload
from loadtest.workloads.slots import Slots
from loadtest.workloads.templates import Template, build_workload

NAME = "shared"
BULLETINS_PER_SPLIT = 4
_PASSAGES_PER_BULLETIN = 5
_DESCRIPTION = "short questions behind one of four long texts that many requests share"

_PROMPTS_PER_TEMPLATE: Mapping[Split, int] = {
    Split.TRAIN: 180,
    Split.WARM_UP: 120,
    Split.MEASURED: 220,
    Split.HELD_OUT: 180,
}

_QUESTIONS: Mapping[Split, Mapping[str, str]] = {
    Split.TRAIN: {
        "who_was_where": "Who in these reports could have met {person} from {town}, and why?",
        "headline": "Write a headline of six words for a reader in {town} who knows {person}.",
        "next_day": "What might {person} do the next day in {town} after reading this?",
    },
    Split.WARM_UP: {
        "tell_a_child": "How would {person} tell this to a child in {town}?",
        "sort_by_place": "Which of these reports matters most to {person} in {town}?",
    },
    Split.MEASURED: {
        "letter": "Write a short letter in which {person} tells a friend in {town} what happened.",
        "questions": "Which two questions would {person} from {town} ask after hearing this?",
        "advice": "What should {person} in {town} learn from these reports? Answer in two sentences.",
        "summary": "Sum the reports up for {person}, who was away in {town}.",
    },
    Split.HELD_OUT: {
        "radio": "Turn this into three sentences for the radio in {town}, read by {person}.",
        "complaint": "What would {person} from {town} complain about?",
    },
}


def generate(seed: int) -> Workload:
    """The shared-prefix workload of a seed; the templates and their splits are the same for every seed."""
    templates = [
        Template(name, split, partial(_prompt, seed, split, question))
        for split, questions in _QUESTIONS.items()
        for name, question in questions.items()
    ]
    return build_workload(
        NAME, _DESCRIPTION, templates, prompts_per_template=_PROMPTS_PER_TEMPLATE, seed=seed
    )


def _prompt(seed: int, split: Split, question: str, rng: random.Random) -> str:
    number = rng.randrange(BULLETINS_PER_SPLIT)
    return f"{bulletin(seed, split, number)}\n\n{Slots(rng, VOCABULARY).fill(question)}"


@cache
def bulletin(seed: int, split: Split, number: int) -> str:
    """One of the long texts: numbered reports in the sentence patterns of their split."""
    rng = random.Random(f"kilotoken/{NAME}/bulletin/{split}/{number}/{seed}")
    reports = (passage(rng, PATTERNS[split]).text for _ in range(_PASSAGES_PER_BULLETIN))
    return "\n\n".join(f"Report {index}. {text}" for index, text in enumerate(reports, start=1))

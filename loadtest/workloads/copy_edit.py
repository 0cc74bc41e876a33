"""Which editing, repeating and extracting jobs the `copy` workload asks for.

Each prompt is a plain instruction, an empty line, and the text it is about; the right answer is that text,
or a part of it, nearly word for word. A draft that copies from the prompt gains most here. The instruction
stands first and asks for one thing, so that models of some 135M parameters can follow it.

Splits are by template: a draft trained on answers to a template knows what that template changes and keeps,
and measured on the same template its acceptance would be flattered. For the same reason each split has
sentence patterns of its own, see `passage_patterns`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from loadtest.workloads.passage_patterns import PATTERNS, Patterns
from loadtest.workloads.passage_words import VOCABULARY
from loadtest.workloads.passages import Passage, item_list, passage, passage_with_number, record
from loadtest.workloads.prompt import Split, Workload
from loadtest.workloads.templates import Template, build_workload

NAME = "copy"

_DESCRIPTION = "edits, repeats and extracts of a passage that stands in the prompt"

_PROMPTS_PER_TEMPLATE: Mapping[Split, int] = {
    Split.TRAIN: 120,
    Split.WARM_UP: 80,
    Split.MEASURED: 110,
    Split.HELD_OUT: 80,
}


@dataclass(frozen=True, slots=True)
class CopyTask:
    """What is asked, the text it is about, and the answer that would be right."""

    instruction: str
    given: str
    answer: str

    @property
    def text(self) -> str:
        """The prompt: the instruction first, then the text."""
        return f"{self.instruction}\n\n{self.given}"


Maker = Callable[[random.Random, Patterns], CopyTask]


def generate(seed: int) -> Workload:
    """The copy workload of a seed; the templates and their splits are the same for every seed."""
    templates = [
        Template(name, split, _renderer(make, split))
        for split, makers in TASKS.items()
        for name, make in makers.items()
    ]
    return build_workload(
        NAME, _DESCRIPTION, templates, prompts_per_template=_PROMPTS_PER_TEMPLATE, seed=seed
    )


def _renderer(make: Maker, split: Split) -> Callable[[random.Random], str]:
    return lambda rng: make(rng, PATTERNS[split]).text


def _other(rng: random.Random, kind: str, text: str) -> str:
    """A word of that kind that does not stand in the text."""
    while _whole_word(word := rng.choice(VOCABULARY[kind])).search(text):
        pass
    return word


@cache
def _whole_word(word: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(word)}\b")


def _change(made: Passage, instruction: str, old: str, new: str) -> CopyTask:
    changed = _whole_word(old).sub(new, made.text)
    return CopyTask(instruction.format(old=old, new=new), made.text, changed)


def _repeat_exact(rng: random.Random, patterns: Patterns) -> CopyTask:
    text = passage(rng, patterns).text
    return CopyTask("Repeat the text below exactly, word for word. Write nothing else.", text, text)


def _write_between_marks(rng: random.Random, patterns: Patterns) -> CopyTask:
    text = passage(rng, patterns).text
    return CopyTask(
        "Copy the text between START and END. Do not write START or END.", f"START\n{text}\nEND", text
    )


def _read_back(rng: random.Random, patterns: Patterns) -> CopyTask:
    text = passage(rng, patterns).text
    return CopyTask(
        "I will check a message. Say the whole message back to me without any change.", text, text
    )


def _change_name(rng: random.Random, patterns: Patterns) -> CopyTask:
    made = passage(rng, patterns)
    instruction = "Copy the text below, but write {new} instead of {old}. Keep all other words the same."
    return _change(made, instruction, made.person, _other(rng, "person", made.text))


def _change_number(rng: random.Random, patterns: Patterns) -> CopyTask:
    made = passage_with_number(rng, patterns)
    instruction = (
        "In the text below, replace the number {old} with {new}. Write the full text with this change."
    )
    return _change(made, instruction, rng.choice(made.numbers), _other(rng, "number", made.text))


def _change_town(rng: random.Random, patterns: Patterns) -> CopyTask:
    made = passage(rng, patterns)
    instruction = "Rewrite the text below so that it says {new} and not {old}. Change nothing else."
    return _change(made, instruction, made.town, _other(rng, "town", made.text))


def _change_date(rng: random.Random, patterns: Patterns) -> CopyTask:
    made = passage(rng, patterns)
    new = f"{_other(rng, 'day', made.text)} {_other(rng, 'month', made.text)}"
    instruction = "The date {old} is wrong. The right date is {new}. Write the corrected text."
    return _change(made, instruction, made.date, new)


def _fix_case(rng: random.Random, patterns: Patterns) -> CopyTask:
    text = passage(rng, patterns).text
    instruction = (
        "The text below has no capital letters. Write it again with capital letters where they belong."
    )
    return CopyTask(instruction, text.lower(), text)


def _fix_full_stops(rng: random.Random, patterns: Patterns) -> CopyTask:
    made = passage(rng, patterns)
    given = " ".join(sentence.removesuffix(".") for sentence in made.sentences)
    return CopyTask("Copy the text below and put a full stop at the end of each sentence.", given, made.text)


def _fix_commas(rng: random.Random, patterns: Patterns) -> CopyTask:
    text = passage(rng, patterns).text
    instruction = "The text below has a space before each comma and full stop. Write it without these spaces."
    return CopyTask(instruction, re.sub(r"([.,])", r" \1", text), text)


def _remove_double_word(rng: random.Random, patterns: Patterns) -> CopyTask:
    text = passage(rng, patterns).text
    words = text.split()
    place = rng.choice([index for index, word in enumerate(words[:-1]) if word.isalpha() and word.islower()])
    given = " ".join([*words[: place + 1], *words[place:]])
    instruction = f"The word '{words[place]}' is written twice in a row below. Correct it and copy the rest."
    return CopyTask(instruction, given, text)


def _second_paragraph(rng: random.Random, patterns: Patterns) -> CopyTask:
    first, second = (passage(rng, patterns, most_words=80).text for _ in range(2))
    instruction = "Below are two paragraphs. Copy only the second paragraph, word for word."
    return CopyTask(instruction, f"{first}\n\n{second}", second)


def _named_paragraph(rng: random.Random, patterns: Patterns) -> CopyTask:
    paragraphs = [passage(rng, patterns, most_words=80) for _ in range(2)]
    wanted = rng.choice(paragraphs)
    given = "\n\n".join(
        f"Letter {letter}: {made.text}" for letter, made in zip("AB", paragraphs, strict=True)
    )
    letter = "AB"[paragraphs.index(wanted)]
    return CopyTask(f"Below are letter A and letter B. Copy the text of letter {letter}.", given, wanted.text)


def _title_on_top(rng: random.Random, patterns: Patterns) -> CopyTask:
    made = passage(rng, patterns)
    title = f"News from {made.town}"
    instruction = f"Write the title '{title}' on the first line. Then copy the text below under it."
    return CopyTask(instruction, made.text, f"{title}\n\n{made.text}")


def _add_sentence(rng: random.Random, patterns: Patterns) -> CopyTask:
    made = passage(rng, patterns)
    last = f"The report was checked by {_other(rng, 'person', made.text)}."
    instruction = f"Copy the text below and add this sentence at the end: {last}"
    return CopyTask(instruction, made.text, f"{made.text} {last}")


def _sentence_per_line(rng: random.Random, patterns: Patterns) -> CopyTask:
    made = passage(rng, patterns)
    instruction = "Copy the text below, but start a new line after each sentence."
    return CopyTask(instruction, made.text, "\n".join(made.sentences))


def _copy_list(rng: random.Random, _: Patterns) -> CopyTask:
    items = "\n".join(f"- {item}" for item in item_list(rng))
    sender = rng.choice(VOCABULARY["person"])
    given = (
        f"Dear {sender}, thank you for the call. This is what we need:\n{items}\nKind regards from the shop."
    )
    return CopyTask("Copy only the list from the letter below. Keep the order.", given, items)


def _number_list(rng: random.Random, _: Patterns) -> CopyTask:
    items = item_list(rng)
    numbered = "\n".join(f"{position}. {item}" for position, item in enumerate(items, start=1))
    return CopyTask(
        "Copy the list below and put 1., 2., 3. and so on before the lines.", "\n".join(items), numbered
    )


def _record_with_equals(rng: random.Random, patterns: Patterns) -> CopyTask:
    fields = record(rng, patterns)
    return CopyTask(
        "Copy the record below, but write ' = ' instead of ': ' after each field name. Keep every field.",
        "\n".join(f"{name}: {value}" for name, value in fields),
        "\n".join(f"{name} = {value}" for name, value in fields),
    )


def _record_as_bullets(rng: random.Random, patterns: Patterns) -> CopyTask:
    fields = record(rng, patterns)
    return CopyTask(
        "Turn the table below into a list. Write one line per row, such as '- Name: value'. Keep every row.",
        "\n".join(f"| {name} | {value} |" for name, value in fields),
        "\n".join(f"- {name}: {value}" for name, value in fields),
    )


# Which split owns which job.
TASKS: Mapping[Split, Mapping[str, Maker]] = {
    Split.TRAIN: {
        "write_between_marks": _write_between_marks,
        "change_town": _change_town,
        "fix_commas": _fix_commas,
        "named_paragraph": _named_paragraph,
        "sentence_per_line": _sentence_per_line,
        "record_as_bullets": _record_as_bullets,
    },
    Split.WARM_UP: {
        "read_back": _read_back,
        "title_on_top": _title_on_top,
        "number_list": _number_list,
    },
    Split.MEASURED: {
        "repeat_exact": _repeat_exact,
        "change_name": _change_name,
        "change_number": _change_number,
        "fix_case": _fix_case,
        "fix_full_stops": _fix_full_stops,
        "second_paragraph": _second_paragraph,
        "copy_list": _copy_list,
        "record_with_equals": _record_with_equals,
    },
    Split.HELD_OUT: {
        "change_date": _change_date,
        "remove_double_word": _remove_double_word,
        "add_sentence": _add_sentence,
    },
}

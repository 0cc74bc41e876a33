"""How the published question sets become workloads: MT-bench, Spec-Bench, HumanEval, GSM8K.

Every question is a template of its own, `<category>/<id>`: a category is no wording that questions share, and
taken as one template whole categories would be spent on the warm-up. Texts are sent as they stand in the
file; reference answers are left out. Fields that a set brings beside the ones named here are ignored.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from loadtest.workloads.entries import Entry, workload_of
from loadtest.workloads.json_lines import (
    Place,
    file_bytes,
    json_object,
    kind,
    numbered_lines,
    text_value,
    texts_value,
    unpacked,
)
from loadtest.workloads.prompt import Message, Workload

MT_BENCH_CATEGORIES = frozenset(
    ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities")
)
SPEC_BENCH_CATEGORIES = MT_BENCH_CATEGORIES | {
    "translation",
    "summarization",
    "qa",
    "math_reasoning",
    "rag",
}


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """What a line of a set holds, and the entry that it becomes."""

    fields: tuple[str, ...]  # without these a line is damaged
    entry: Callable[[Mapping[str, object], Place], Entry]
    example: str


def read_question_set(path: Path, *, name: str, limit: int | None = None) -> Workload:
    """The workload `name` (a key of QUESTION_SETS) from the set's own file; .gz files are unpacked.

    Raises:
        ConfigError: naming the line that is damaged or belongs to another format.
    """
    wanted = QUESTION_SETS[name]
    raw = file_bytes(path, holds="the questions", hint=f"Give the path of the {name} file.")
    lines = numbered_lines(path, unpacked(path, raw), example=wanted.example)
    entries = [_entry(json_object(text, place), place, name) for text, place in lines]
    source = f"{path}, sha256 {hashlib.sha256(raw).hexdigest()}"
    return workload_of(entries, name=name, source=source, limit=limit, note=_note(entries))


def _entry(fields: dict[str, object], place: Place, name: str) -> Entry:
    wanted = QUESTION_SETS[name]
    for key in wanted.fields:
        if key not in fields:
            _fail_without(key, fields, place, name)
    return wanted.entry(fields, place)


def _fail_without(key: str, fields: Mapping[str, object], place: Place, name: str) -> NoReturn:
    nearest = difflib.get_close_matches(key, list(fields), n=1)
    place.fail(
        f"the line has no '{key}'. A line of {name} has the keys {', '.join(QUESTION_SETS[name].fields)}.",
        hint=f"Is it written as {nearest[0]!r}?" if nearest else "",
    )


def _question_in_turns(fields: Mapping[str, object], place: Place) -> Entry:
    first, *further = texts_value(fields["turns"], "turns", place)
    category = text_value(fields["category"], "category", place)
    return Entry(
        place,
        (Message("user", first),),
        template=f"{category}/{_identity(fields['question_id'], 'question_id', place)}",
        turns=tuple(further),
    )


def _function_to_complete(fields: Mapping[str, object], place: Place) -> Entry:
    text = text_value(fields["prompt"], "prompt", place)
    return Entry(place, (Message("user", text),), template=text_value(fields["task_id"], "task_id", place))


def _sum_in_words(fields: Mapping[str, object], place: Place) -> Entry:
    text_value(fields["answer"], "answer", place)
    text = text_value(fields["question"], "question", place)
    return Entry(place, (Message("user", text),), template=f"gsm8k/{place.number}")


def _identity(value: object, key: str, place: Place) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        place.fail(f"'{key}' is {kind(value)}. It must be a whole number or a string that is not empty.")
    return str(value)


def _note(entries: list[Entry]) -> str:
    further = sum(len(entry.turns) for entry in entries)
    return f"; {len(entries) + further} turns in the file's {len(entries)} questions" if further else ""


_TURNS_EXAMPLE = (
    '{"question_id": 1, "category": "writing", "turns": ["Name three rivers.", "Which is longest?"]}'
)
_IN_TURNS = QuestionSet(("question_id", "category", "turns"), _question_in_turns, _TURNS_EXAMPLE)

QUESTION_SETS: Mapping[str, QuestionSet] = {
    "mt-bench": _IN_TURNS,
    "spec-bench": _IN_TURNS,
    "humaneval": QuestionSet(
        ("task_id", "prompt", "entry_point"),
        _function_to_complete,
        '{"task_id": "HumanEval/0", "prompt": "def add(a, b):", "entry_point": "add"}',
    ),
    "gsm8k": QuestionSet(
        ("question", "answer"),
        _sum_in_words,
        '{"question": "What is 2 + 3?", "answer": "2 + 3 = 5\\n#### 5"}',
    ),
}

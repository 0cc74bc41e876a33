"""How a file of the user's own prompts becomes a workload: what a line may say.

One JSON object per line, with further keys where they are wanted:

    {"prompt": "Name three rivers."}
    {"messages": [{"role": "user", "content": "Name three rivers."}], "template": "name_three"}
    {"prompt": "Name a river.", "turns": ["How long is it?"], "sampling": {"temperature": 0.7}}

`turns` are further user messages, asked one after the other. `max_tokens` is the longest answer allowed,
`output_tokens` the length that the answer is declared to have. A line without `template` stands for itself:
it counts as a template of its own. `entries.py` decides the splits.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from loadtest.workloads.entries import Entry, workload_of
from loadtest.workloads.json_lines import (
    Place,
    check_keys,
    count_value,
    file_bytes,
    json_object,
    kind,
    numbered_lines,
    shown,
    text_value,
    texts_value,
    unpacked,
)
from loadtest.workloads.prompt import Message, Split, Workload
from loadtest.workloads.sampling_rules import read_sampling

EXAMPLE = '{"prompt": "Name three rivers."}'
LINE_KEYS = ("messages", "prompt", "turns", "max_tokens", "output_tokens", "sampling", "template", "split")
_MESSAGE_KEYS = ("role", "content")
_ROLES = ("system", "user", "assistant")


def read_jsonl(path: Path, *, name: str | None = None, limit: int | None = None) -> Workload:
    """The workload in a .jsonl file; ConfigError names the file, the line and what is allowed there."""
    raw = file_bytes(path, hint="Give the path of a .jsonl file with one prompt per line.")
    entries = [
        _entry(text, place) for text, place in numbered_lines(path, unpacked(path, raw), example=EXAMPLE)
    ]
    source = f"{path}, sha256 {hashlib.sha256(raw).hexdigest()}"
    return workload_of(entries, name=path.stem if name is None else name, source=source, limit=limit)


def _entry(text: bytes, place: Place) -> Entry:
    fields = json_object(text, place)
    check_keys(fields, LINE_KEYS, place, "")
    if ("messages" in fields) == ("prompt" in fields):
        which = "both 'messages' and 'prompt'" if "prompt" in fields else "neither 'messages' nor 'prompt'"
        place.fail(f"the line gives {which}. Give exactly one of the two.")
    return Entry(
        place,
        messages=(
            (Message("user", text_value(fields["prompt"], "prompt", place)),)
            if "prompt" in fields
            else _messages(fields["messages"], place)
        ),
        template=text_value(fields["template"], "template", place) if "template" in fields else None,
        split=_split(fields["split"], place) if "split" in fields else None,
        turns=texts_value(fields["turns"], "turns", place) if "turns" in fields else (),
        max_tokens=_count(fields, "max_tokens", place),
        output_tokens=_count(fields, "output_tokens", place),
        sampling=read_sampling(fields["sampling"], place) if "sampling" in fields else None,
    )


def _count(fields: dict[str, object], key: str, place: Place) -> int | None:
    return count_value(fields[key], key, place) if key in fields else None


def _messages(value: object, place: Place) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        place.fail(
            f"'messages' is {kind(value)}. It must be a list of at least one {{role, content}} object."
        )
    return tuple(_message(item, index, place) for index, item in enumerate(value))


def _message(value: object, index: int, place: Place) -> Message:
    where = f"messages[{index}]"
    if not isinstance(value, dict):
        place.fail(f"'{where}' is {kind(value)}. It must be an object with the keys role and content.")
    check_keys(value, _MESSAGE_KEYS, place, f" in {where}")
    for key in _MESSAGE_KEYS:
        if key not in value:
            place.fail(f"'{where}' has no '{key}'. It must have the keys role and content.")
    role = value["role"]
    if not isinstance(role, str) or role not in _ROLES:
        place.fail(f"'{where}.role' is {shown(role)}. Allowed: {', '.join(_ROLES)}.")
    return Message(role, text_value(value["content"], f"{where}.content", place))


def _split(value: object, place: Place) -> Split:
    if not isinstance(value, str) or value not in list(Split):
        place.fail(f"'split' is {shown(value)}. Allowed: {', '.join(Split)}.")
    return Split(value)

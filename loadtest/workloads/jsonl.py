"""How a file of the user's own prompts becomes a workload: what a line may say, and which split it is in.

One JSON object per line, with `max_tokens`, `template` and `split` where they are wanted:

    {"prompt": "Name three rivers."}
    {"messages": [{"role": "user", "content": "Name three rivers."}], "template": "name_three"}

A line without `template` stands for itself: it counts as a template of its own. Either every line says its
`split` or none does. Where none does, a hash of the template (without one, of the content) sends about 15 %
to warm-up and the rest to the measured prompts, whatever the order of the lines. A file whose lines all
name one template is split by content instead: nothing was trained on it, and it needs a warm-up too.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from accounting.errors import ConfigError
from loadtest.workloads.prompt import Message, Prompt, Split, Workload

_LINE_KEYS = ("messages", "prompt", "max_tokens", "template", "split")
_MESSAGE_KEYS = ("role", "content")
_ROLES = ("system", "user", "assistant")
_BOM = b"\xef\xbb\xbf"
_WARM_UP_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class _Line:
    number: int  # counted from 1, as editors do
    messages: tuple[Message, ...]
    max_tokens: int | None
    template: str | None
    split: Split | None

    @property
    def content_key(self) -> str:
        """Equal for equal messages only."""
        return _digest(json.dumps([[message.role, message.content] for message in self.messages]))

    @property
    def group(self) -> str:
        """The template, or a stand-in of its own for a line without one."""
        return self.template if self.template is not None else f"untemplated-{self.content_key[:12]}"


class _Place:
    """Where in which file we are, for messages that name both."""

    def __init__(self, path: Path, number: int) -> None:
        self.path = path
        self.number = number

    def fail(self, problem: str, *, hint: str = "") -> NoReturn:
        raise ConfigError(f"{self.path}, line {self.number}: {problem}", hint=hint)


def read_jsonl(path: Path, *, name: str | None = None) -> Workload:
    """The workload in a .jsonl file; ConfigError names the file, the line and what is allowed there."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: the prompts cannot be read: {error.strerror or error}.",
            hint="Give the path of a .jsonl file with one prompt per line.",
        ) from error
    parsed = _parse_lines(path, raw)
    lines = _without_duplicates(parsed)
    if len(lines) < 2:
        raise ConfigError(
            f"{path}: there is only one distinct prompt. At least two are needed, because a prompt used for "
            "warm-up is never measured.",
            hint="Add a second line with another prompt.",
        )
    workload = path.stem if name is None else name
    splits = _splits(path, lines)
    prompts = tuple(
        Prompt(
            f"{workload}-line-{line.number:05d}", workload, line.group, split, line.messages, line.max_tokens
        )
        for line, split in zip(lines, splits, strict=True)
    )
    description = _description(path, kept=len(lines), dropped=len(parsed) - len(lines))
    return Workload(workload, description, f"{path}, sha256 {hashlib.sha256(raw).hexdigest()}", prompts)


def _description(path: Path, *, kept: int, dropped: int) -> str:
    text = f"{kept} prompts from {path.name}"
    if dropped:
        text += f"; {dropped} {'duplicate' if dropped == 1 else 'duplicates'} dropped"
    return text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _parse_lines(path: Path, raw: bytes) -> list[_Line]:
    # Split on the newline byte only: U+2028 and its like are ordinary characters inside a JSON string.
    lines = [
        _parse_line(text, _Place(path, number))
        for number, text in enumerate(raw.removeprefix(_BOM).split(b"\n"), start=1)
        if text.strip()
    ]
    if not lines:
        raise ConfigError(
            f"{path}, line 1: the file holds no prompt.",
            hint='Put one JSON object on each line, such as {"prompt": "Name three rivers."}',
        )
    return lines


def _parse_line(text: bytes, place: _Place) -> _Line:
    fields = _json_object(text, place)
    _check_keys(fields, _LINE_KEYS, place, "")
    if ("messages" in fields) == ("prompt" in fields):
        which = "both 'messages' and 'prompt'" if "prompt" in fields else "neither 'messages' nor 'prompt'"
        place.fail(f"the line gives {which}. Give exactly one of the two.")
    return _Line(
        number=place.number,
        messages=(
            (Message("user", _text(fields["prompt"], "prompt", place)),)
            if "prompt" in fields
            else _messages(fields["messages"], place)
        ),
        max_tokens=_max_tokens(fields["max_tokens"], place) if "max_tokens" in fields else None,
        template=_text(fields["template"], "template", place) if "template" in fields else None,
        split=_split(fields["split"], place) if "split" in fields else None,
    )


def _json_object(text: bytes, place: _Place) -> dict[str, object]:
    try:
        value: object = json.loads(text.decode("utf-8"), object_pairs_hook=_no_repeated_key)
    except UnicodeDecodeError as error:
        place.fail(f"byte {error.start + 1} is not valid UTF-8.", hint="Save the file as UTF-8.")
    except json.JSONDecodeError as error:
        problem = f"this is not valid JSON: {error.msg}, at character {error.pos + 1}."
        place.fail(problem, hint="Each line must be one complete JSON object.")
    except (ValueError, RecursionError) as error:
        place.fail(f"this JSON cannot be used: {error}.", hint="Each line must be one plain JSON object.")
    if not isinstance(value, dict):
        place.fail(f"the line is {_kind(value)}. It must be a JSON object.")
    return value


def _no_repeated_key(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key is given twice in one object")
    return fields


def _check_keys(fields: dict[str, object], allowed: Sequence[str], place: _Place, within: str) -> None:
    for key in fields:
        if key not in allowed:
            nearest = difflib.get_close_matches(key.lower(), allowed, n=1, cutoff=0.0)[0]
            place.fail(
                f"unknown key {key!r}{within}. Allowed: {', '.join(allowed)}.",
                hint=f"Did you mean {nearest!r}?",
            )


def _messages(value: object, place: _Place) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        place.fail(
            f"'messages' is {_kind(value)}. It must be a list of at least one {{role, content}} object."
        )
    return tuple(_message(item, index, place) for index, item in enumerate(value))


def _message(value: object, index: int, place: _Place) -> Message:
    where = f"messages[{index}]"
    if not isinstance(value, dict):
        place.fail(f"'{where}' is {_kind(value)}. It must be an object with the keys role and content.")
    _check_keys(value, _MESSAGE_KEYS, place, f" in {where}")
    for key in _MESSAGE_KEYS:
        if key not in value:
            place.fail(f"'{where}' has no '{key}'. It must have the keys role and content.")
    role = value["role"]
    if not isinstance(role, str) or role not in _ROLES:
        place.fail(f"'{where}.role' is {_shown(role)}. Allowed: {', '.join(_ROLES)}.")
    return Message(role, _text(value["content"], f"{where}.content", place))


def _text(value: object, key: str, place: _Place) -> str:
    if not isinstance(value, str) or not value:
        place.fail(f"'{key}' is {_kind(value)}. It must be a string that is not empty.")
    try:
        value.encode()
    except UnicodeEncodeError:
        place.fail(f"'{key}' holds half of a surrogate pair (\\ud800 to \\udfff), which no text can contain.")
    return value


def _max_tokens(value: object, place: _Place) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        place.fail(f"'max_tokens' is {_shown(value)}. It must be a whole number of at least 1.")
    return value


def _split(value: object, place: _Place) -> Split:
    if not isinstance(value, str) or value not in list(Split):
        place.fail(f"'split' is {_shown(value)}. Allowed: {', '.join(Split)}.")
    return Split(value)


def _kind(value: object) -> str:
    if value == "" or value == []:
        return "empty"
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, (str, int, float)) else _kind(value)


def _without_duplicates(lines: Sequence[_Line]) -> list[_Line]:
    first: dict[str, _Line] = {}
    for line in lines:
        first.setdefault(line.content_key, line)
    return list(first.values())


def _splits(path: Path, lines: Sequence[_Line]) -> list[Split]:
    given = [line.split for line in lines if line.split is not None]
    if not given:
        return _assigned(lines)
    for line in lines:
        if line.split is None:
            _Place(path, line.number).fail(
                "this line has no 'split', but others have. Either every line gives one or none does.",
                hint=f"Add a 'split' ({', '.join(Split)}), or remove it from all lines.",
            )
    _check_trained_templates(path, lines)
    return given


def _check_trained_templates(path: Path, lines: Sequence[_Line]) -> None:
    trained = {line.group: line.number for line in reversed(lines) if line.split is Split.TRAIN}
    for line in lines:
        if line.split is not Split.TRAIN and line.group in trained:
            _Place(path, line.number).fail(
                f"the template {line.group!r} is {line.split} here and train on line {trained[line.group]}. "
                "A template used for training may be in no other split.",
                hint="A draft that was trained on a template looks better on it than it is.",
            )


def _assigned(lines: Sequence[_Line]) -> list[Split]:
    groups = [line.group for line in lines]
    if len(set(groups)) < 2:
        groups = [line.content_key for line in lines]
    rank = {group: int(_digest(group)[:16], 16) / 2**64 for group in groups}
    warm_up = {group for group, share in rank.items() if share < _WARM_UP_SHARE}
    warm_up.add(min(rank, key=lambda group: rank[group]))
    if len(warm_up) == len(rank):
        warm_up.remove(max(rank, key=lambda group: rank[group]))
    return [Split.WARM_UP if group in warm_up else Split.MEASURED for group in groups]

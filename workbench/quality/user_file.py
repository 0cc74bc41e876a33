"""What a line of the user's own quality file may say. One JSON object per line, checked strictly:

    {"prompt": "What is the capital of France?", "answer": "Paris", "match": "contains"}
    {"messages": [{"role": "user", "content": "2 + 2 = ?"}], "answer": "4", "max_tokens": 8}

`answer` is the text whose likelihood is measured and, by `match`, what the model's answer must be (`exact`, the
default: equal after `scoring.normalised`) or hold (`contains`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from accounting.errors import ConfigError
from serving.section import Section, as_tuple
from workbench.experiment import validated
from workbench.quality.items import Judging, QualityItem

Text = Annotated[str, Field(min_length=1)]
DEFAULT_TOKENS = 256


class LineMessage(Section):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    """Who speaks."""
    content: Text
    """What is said."""


class QualityLine(Section):
    """One item of a quality file."""

    prompt: Text | None = None
    """A question, asked as a chat of one message."""
    messages: Annotated[tuple[LineMessage, ...], Field(min_length=1), BeforeValidator(as_tuple)] | None = None
    """A whole chat."""
    answer: Text
    """The right answer."""
    match: Literal["exact", "contains"] = "exact"
    """Whether the answer must be equal to `answer` or hold it, both after normalisation."""
    max_tokens: Annotated[int, Field(ge=1, le=131072)] = DEFAULT_TOKENS
    """Most tokens of the model's answer."""

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give exactly one of prompt and messages")
        return self


def read_items(path: Path) -> tuple[bytes, tuple[QualityItem, ...]]:
    """The file's bytes and its items.

    Raises:
        ConfigError: naming the file, the line and what is allowed there.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from error
    lines = enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
    items = tuple(_item(path, number, line) for number, line in lines if line.strip())
    if not items:
        raise ConfigError(
            f"{path} holds no item.", hint='Put one JSON object on each line: {"prompt": ..., "answer": ...}.'
        )
    return raw, items


def _item(path: Path, number: int, raw: bytes) -> QualityItem:
    origin = f"{path}, line {number}"
    try:
        line = validated(QualityLine, _json(raw, origin), origin=origin)
    except ConfigError as error:
        error.hint = "A line holds prompt or messages, answer, and where wanted match and max_tokens."
        raise
    turns = line.messages or (LineMessage(role="user", content=line.prompt or ""),)
    return QualityItem(
        item_id=f"line-{number:05d}",
        reference=line.answer,
        expected=line.answer,
        judging=Judging(line.match),
        max_tokens=line.max_tokens,
        messages=tuple((turn.role, turn.content) for turn in turns),
    )


def _json(raw: bytes, origin: str) -> Any:
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_repeated_key)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{origin}: this is not usable JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{origin}: a JSON object is needed, not {type(value).__name__}.")
    return value


def _no_repeated_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key is given twice in one object")
    return fields

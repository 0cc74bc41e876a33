"""How a file with one JSON value per line is read, and how a fault in it is named: by file and number."""

from __future__ import annotations

import difflib
import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from accounting.errors import ConfigError

_BOM = b"\xef\xbb\xbf"


class Place:
    """Where in which file we are, for messages that name both. Numbers count from 1, as editors do."""

    def __init__(self, path: Path, number: int, *, unit: str = "line") -> None:
        self.path = path
        self.number = number
        self.unit = unit

    def fail(self, problem: str, *, hint: str = "") -> NoReturn:
        """Refuse what stands here."""
        raise ConfigError(f"{self.path}, {self.unit} {self.number}: {problem}", hint=hint)


def file_bytes(path: Path, *, holds: str = "the prompts", hint: str = "") -> bytes:
    """The file as it is on disk; ConfigError with the system's reason where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {holds} cannot be read: {error.strerror or error}.", hint=hint) from error


def unpacked(path: Path, raw: bytes) -> bytes:
    """The content of a file whose name ends in .gz, or the bytes as they are."""
    if path.suffix != ".gz":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(
            f"{path}: this is not a complete gzip file: {error}.", hint="Fetch or pack the file again."
        ) from error


def numbered_lines(path: Path, content: bytes, *, example: str) -> list[tuple[bytes, Place]]:
    """The lines that are not blank, each with its place; ConfigError with an `example` if there is none."""
    # Split on the newline byte only: U+2028 and its like are ordinary characters inside a JSON string.
    lines = [
        (text, Place(path, number))
        for number, text in enumerate(content.removeprefix(_BOM).split(b"\n"), start=1)
        if text.strip()
    ]
    if not lines:
        Place(path, 1).fail(
            "the file holds no prompt.", hint=f"Put one JSON object on each line, such as {example}"
        )
    return lines


def json_object(text: bytes, place: Place) -> dict[str, object]:
    """The JSON object of a line, no key given twice."""
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
        place.fail(f"the line is {kind(value)}. It must be a JSON object.")
    return value


def _no_repeated_key(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key is given twice in one object")
    return fields


def check_keys(fields: dict[str, object], allowed: Sequence[str], place: Place, within: str) -> None:
    """Refuse a key that means nothing here, with the nearest one that does."""
    for key in fields:
        if key not in allowed:
            nearest = difflib.get_close_matches(key.lower(), allowed, n=1, cutoff=0.0)[0]
            place.fail(
                f"unknown key {key!r}{within}. Allowed: {', '.join(allowed)}.",
                hint=f"Did you mean {nearest!r}?",
            )


def text_value(value: object, key: str, place: Place) -> str:
    """A string that is not empty and that UTF-8 can carry."""
    if not isinstance(value, str) or not value:
        place.fail(f"'{key}' is {kind(value)}. It must be a string that is not empty.")
    try:
        value.encode()
    except UnicodeEncodeError:
        place.fail(f"'{key}' holds half of a surrogate pair (\\ud800 to \\udfff), which no text can contain.")
    return value


def texts_value(value: object, key: str, place: Place) -> tuple[str, ...]:
    """A list of at least one string, each as `text_value` wants it."""
    if not isinstance(value, list) or not value:
        place.fail(f"'{key}' is {kind(value)}. It must be a list of at least one string.")
    return tuple(text_value(item, f"{key}[{index}]", place) for index, item in enumerate(value))


def count_value(value: object, key: str, place: Place, *, least: int = 1) -> int:
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        place.fail(f"'{key}' is {shown(value)}. It must be a whole number of at least {least}.")
    return value


def kind(value: object) -> str:
    """What a JSON value is, in words."""
    if value == "" or value == []:
        return "empty"
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def shown(value: object) -> str:
    """A short value as it is, another one in words."""
    return repr(value) if isinstance(value, (str, int, float)) else kind(value)

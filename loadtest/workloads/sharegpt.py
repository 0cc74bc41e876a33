"""How a ShareGPT-like file becomes a workload: whose words are asked, and which conversations are left out.

The file is one JSON list of {"conversations": [{"from": "human", "value": "..."}, ...]}. Only what people
said is sent: the first is the prompt, later ones are further turns, behind the answers of the server under
test; the recorded answers are left out. What stands before the first human words is skipped (many
conversations are cut so), a system message is kept, and human messages without an answer between them are
one turn. A conversation in which nobody asks anything is left out and counted. Each conversation is a
template of its own.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from accounting.errors import ConfigError
from loadtest.workloads.entries import Entry, workload_of
from loadtest.workloads.json_lines import Place, file_bytes, text_value
from loadtest.workloads.prompt import Message, Workload

_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "system": "system",
}
_UNIT = "conversation"


class _Said(msgspec.Struct, rename={"role": "from"}):
    role: str
    value: str


class _Conversation(msgspec.Struct):
    conversations: list[_Said]
    id: str | int | None = None


def read_sharegpt(path: Path, *, name: str, limit: int | None = None) -> Workload:
    """The workload in a ShareGPT-like file.

    Raises:
        ConfigError: naming the conversation that is damaged, or the line of the damage where it is no JSON.
    """
    raw = file_bytes(path, holds="the conversations", hint="Give the path of a JSON file.")
    read = [
        _entry(conversation, Place(path, number, unit=_UNIT))
        for number, conversation in enumerate(_decoded(path, raw), start=1)
    ]
    entries = [entry for entry in read if entry is not None]
    if not entries:
        raise ConfigError(f"{path}: nobody asks anything in its {len(read)} conversations.")
    silent = len(read) - len(entries)
    note = f"; {silent} conversations without a question left out" if silent else ""
    source = f"{path}, sha256 {hashlib.sha256(raw).hexdigest()}"
    return workload_of(entries, name=name, source=source, limit=limit, note=note)


def _decoded(path: Path, raw: bytes) -> list[_Conversation]:
    try:
        return msgspec.json.decode(raw, type=list[_Conversation])
    except msgspec.ValidationError as error:
        found = re.search(r"\$\[(\d+)\]", str(error))
        number = int(found.group(1)) + 1 if found else 0
        where = f", {_UNIT} {number}" if found else ""
        raise ConfigError(
            f"{path}{where}: {error}.",
            hint='The file is a list of {"conversations": [{"from": "human", "value": "..."}]}.',
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        byte = re.search(r"byte (\d+)", str(error))
        line = raw[: int(byte.group(1))].count(b"\n") + 1 if byte else raw.count(b"\n") + 1
        Place(path, line).fail(
            f"this is not valid JSON: {error}.", hint="The file must be one complete JSON list."
        )


def _entry(conversation: _Conversation, place: Place) -> Entry | None:
    system: list[Message] = []
    asked: list[str] = []
    answered = True
    for index, said in enumerate(conversation.conversations):
        role = _role(said.role, place)
        if not said.value.strip():
            continue
        text = text_value(said.value, f"conversations[{index}].value", place)
        if role == "system" and not asked:
            system.append(Message("system", text))
        elif role == "user" and answered:
            asked.append(text)
        elif role == "user":
            asked[-1] += f"\n\n{text}"
        if role != "system":
            answered = role == "assistant"
    if not asked:
        return None
    return Entry(
        place,
        (*system, Message("user", asked[0])),
        template=f"sharegpt/{place.number}",
        turns=tuple(asked[1:]),
    )


def _role(role: str, place: Place) -> str:
    if role not in _ROLES:
        nearest: Sequence[str] = difflib.get_close_matches(role.lower(), _ROLES, n=1)
        place.fail(
            f"'from' is {role!r}. Allowed: {', '.join(_ROLES)}.",
            hint=f"Did you mean {nearest[0]!r}?" if nearest else "",
        )
    return _ROLES[role]

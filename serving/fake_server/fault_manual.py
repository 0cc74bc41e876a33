"""The manual of fault scripts, made from the rules themselves, so that it cannot fall behind them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator

import msgspec

from serving.fake_server.fault_rule import FaultRule
from serving.fake_server.faults import KINDS

_HEAD = """\
A fault script is a JSON list of rules, or {"rules": [...]}, as text or in a file. Each rule has a "kind", the
fields of that kind, and when it applies: "on_request": n (one request, from 1), "every": n (each n-th) or
"share": 0 to 1 (a seeded share); with none of them always. "path" narrows a rule to one path. Every rule that
applies to a request takes part. "Chunk" means an event that carries tokens.

    --faults '[{"kind": "reset", "share": 0.01}, {"kind": "stall", "stall_s": 0.7, "on_request": 3}]'
"""


def fault_manual() -> str:
    """What a fault script may say: each kind with its meaning, its fields and their defaults."""
    return "\n".join((_HEAD, *(line for name, kind in KINDS.items() for line in _entry(name, kind))))


def _entry(name: str, kind: type[FaultRule]) -> Iterator[str]:
    paths = "" if kind.default_paths is FaultRule.default_paths else f"   [{', '.join(kind.default_paths)}]"
    yield f"{name}{paths}"
    for line in inspect.cleandoc(kind.__doc__ or "").splitlines():
        yield f"    {line}".rstrip()
    fields = [_field(field) for field in msgspec.structs.fields(kind) if field.name not in _COMMON]
    if fields:
        yield f"    fields: {', '.join(fields)}"
    yield ""


def _field(field: msgspec.structs.FieldInfo) -> str:
    """A field and its default as JSON; nothing behind it when it must be given."""
    return field.name if field.required else f"{field.name} = {json.dumps(field.default)}"


_COMMON = frozenset(FaultRule.__struct_fields__)

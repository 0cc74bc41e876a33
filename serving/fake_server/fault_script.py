"""Reading a fault script: strict, so that a misspelt rule is an error and not a fault that never comes.

A script is a JSON list of rules, or `{"rules": [...]}`. Each rule has a `kind`, the fields of that kind (see
`fault_manual`), and at most one of `on_request`, `every` and `share`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from accounting.errors import ConfigError
from serving.fake_server.fault_rule import FaultRule
from serving.fake_server.faults import KINDS, AnyFault, FaultScript
from serving.fake_server.refusal_faults import StatusFault
from serving.fake_server.wire_faults import FragmentFault, FramingFault, InterimFault

_LEAST = {
    "on_request": 1, "every": 1, "before_chunk": 1, "chunk": 1, "chunk_bytes": 1, "events": 1, "count": 1,
    "one_in": 1, "every_s": 0.001, "extra_tokens": -float("inf"),
}  # fmt: skip


def read_fault_script(file_or_json: str) -> FaultScript:
    """The script in a JSON file, or given as JSON text (which starts with `[` or `{`)."""
    text = file_or_json.strip()
    if not text.startswith(("[", "{")):
        try:
            text = Path(file_or_json).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot read the fault script {file_or_json}: {error.strerror}") from error
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigError(f"the fault script is not JSON: {error}") from error
    return parse_fault_script(value)


def parse_fault_script(value: object) -> FaultScript:
    """The script in plain values as JSON gives them; anything unknown or impossible is a ConfigError."""
    if isinstance(value, Mapping):
        _known(value, ("rules",), "fault script key")
        value = value.get("rules", ())
    if not isinstance(value, list | tuple):
        raise ConfigError('a fault script must be a list of rules or {"rules": [...]}')
    return FaultScript(rules=tuple(_rule(item, index) for index, item in enumerate(value)))


def _rule(item: object, index: int) -> AnyFault:
    where = f"fault rule {index}"
    if not isinstance(item, Mapping) or not isinstance(item.get("kind"), str):
        raise ConfigError(f'{where} must be an object with a "kind": one of {", ".join(sorted(KINDS))}')
    kind = item["kind"]
    _known((kind,), tuple(KINDS), f"{where}: kind")
    _known(item, ("kind", *KINDS[kind].__struct_fields__), f"{where} ({kind}): key")
    try:
        rule: AnyFault = msgspec.convert(item, AnyFault)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where} ({kind}): {error}") from error
    _check_values(rule, f"{where} ({kind})")
    return rule


def _check_values(rule: FaultRule, where: str) -> None:
    if sum(value is not None for value in (rule.on_request, rule.every, rule.share)) > 1:
        raise ConfigError(f"{where}: give at most one of on_request, every and share")
    if rule.share is not None and not 0.0 <= rule.share <= 1.0:
        raise ConfigError(f"{where}: share is {rule.share}; it must be 0 to 1")
    if isinstance(rule, StatusFault) and not 400 <= rule.status <= 599:
        raise ConfigError(f"{where}: status is {rule.status}; it must be 400 to 599")
    if isinstance(rule, FragmentFault) and not (rule.sizes and min(rule.sizes) >= 1):
        raise ConfigError(
            f"{where}: sizes is {list(rule.sizes)}; it must hold numbers of bytes, each 1 or more"
        )
    if isinstance(rule, InterimFault) and not all(
        100 <= code <= 199 and code != 101 for code in rule.statuses
    ):
        raise ConfigError(f"{where}: statuses is {list(rule.statuses)}; each must be 100 to 199, and not 101")
    if isinstance(rule, FramingFault) and rule.http_1_0 and rule.body == "chunked":
        raise ConfigError(f"{where}: HTTP/1.0 has no chunks", hint='set "body" to "length" or "close"')
    for name in rule.__struct_fields__:
        value, least = getattr(rule, name), _LEAST.get(name, 0)
        if isinstance(value, int | float) and not least <= value < float("inf"):
            raise ConfigError(f"{where}: {name} is {value}; it must be {least} or more")


def _known(names: Iterable[object], allowed: tuple[str, ...], what: str) -> None:
    for name in names:
        if name not in allowed:
            near = difflib.get_close_matches(str(name), allowed, n=1)
            raise ConfigError(
                f"{what} {name!r} is unknown; allowed: {', '.join(sorted(allowed))}",
                hint=f"did you mean {near[0]!r}?" if near else "",
            )

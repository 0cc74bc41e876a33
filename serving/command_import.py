"""An existing `vllm serve ...` line -> a server configuration, flag by flag.

What has a field becomes that field; what has none is kept in `engine.extra_args` as it stands; what kilotoken
decides itself (host, port, keys) is left out and said.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from accounting.errors import ConfigError
from serving.vllm_names import EngineNames, Kind, Option

#: Flags that the start decides, with why.
_DECIDED_HERE = {
    "--host": "kilotoken binds the loopback interface",
    "--port": "give --port to `kilotoken serve`; a run takes a free port",
    "--api-key": "keys never go into a file",
    "--hf-token": "keys never go into a file: set HF_TOKEN",
}
_SHORT = {"-tp": "--tensor-parallel-size", "-pp": "--pipeline-parallel-size", "-dp": "--data-parallel-size"}
_SPEC_SHORTHANDS = {
    "--spec-method": "method",
    "--spec-model": "model",
    "--spec-tokens": "num_speculative_tokens",
}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_MULTIPLES = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclass
class ImportedCommand:
    """A configuration as plain sections, and what was left out with the reason."""

    sections: dict[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def import_command(line: str, names: EngineNames) -> ImportedCommand:
    """Read a command line as a shell would.

    Raises:
        ConfigError: if it is not a vLLM serving command, or a flag lacks its value.
    """
    try:
        words = shlex.split(line.replace("\\\n", " "))
    except ValueError as error:
        raise ConfigError(f"the command cannot be read as a shell would: {error}.") from error
    imported = ImportedCommand()
    arguments = _serving_arguments(words, imported)
    options = {option.flag: option for option in names.options}
    for flag, values in _pairs(arguments):
        _take(flag, values, names, options, imported)
    if "name" not in imported.sections.get("model", {}):
        raise ConfigError(
            "the command names no model.", hint="Give it as `vllm serve MODEL ...` or with --model MODEL."
        )
    return imported


def _serving_arguments(words: list[str], imported: ImportedCommand) -> list[str]:
    """Take off environment assignments and the program; a positional model becomes `--model`."""
    rest = list(words)
    while rest and _ASSIGNMENT.fullmatch(rest[0]):
        name, _, value = rest.pop(0).partition("=")
        imported.sections.setdefault("engine", {}).setdefault("environment", {})[name] = value
    program = next((i for i, word in enumerate(rest) if word.startswith("-") and word != "-m"), len(rest))
    head, tail = rest[:program], rest[program:]
    if "serve" in head:
        model = head[head.index("serve") + 1 :]
    elif any(word.endswith("api_server") for word in head):
        model = []
    else:
        raise ConfigError(
            f"{' '.join(words[:4])!r} is not a vLLM serving command.",
            hint="Give it in quotes, from `vllm serve` (or `python -m vllm.entrypoints.openai.api_server`) on.",
        )
    return [*(["--model", model[0]] if model else []), *tail]


def _pairs(arguments: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each flag with the words up to the next one, `--flag=value` taken apart."""
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if not word.startswith("-"):
            raise ConfigError(f"{word!r} in the command belongs to no flag.")
        flag, equals, joined = word.partition("=")
        flag = _SHORT.get(flag, flag)
        if flag.startswith("--"):
            flag = flag.replace("_", "-")
        values = [joined] if equals else []
        position += 1
        while not equals and position < len(arguments) and not _is_flag(arguments[position]):
            values.append(arguments[position])
            position += 1
        yield flag, values


def _is_flag(word: str) -> bool:
    return word.startswith("-") and not re.fullmatch(r"-\d+(\.\d+)?", word)


def _take(
    flag: str, values: list[str], names: EngineNames, options: dict[str, Option], imported: ImportedCommand
) -> None:
    sections = imported.sections
    positive = "--" + flag.removeprefix("--no-")
    if flag in _DECIDED_HERE:
        imported.left_out.append(f"{flag}: {_DECIDED_HERE[flag]}")
    elif flag == names.model_flag:
        sections.setdefault("model", {})["name"] = _one(flag, values)
    elif flag == "--revision":
        model = sections.setdefault("model", {})
        model["name"] = f"{model.get('name', '')}@{_one(flag, values)}"
    elif flag in (names.speculative_flag, "-sc"):
        sections["speculation"] = _json(flag, _one(flag, values))
    elif flag in _SPEC_SHORTHANDS:
        value = _one(flag, values)
        key = _SPEC_SHORTHANDS[flag]
        sections.setdefault("speculation", {})[key] = int(value) if key.startswith("num") else value
    elif flag in options:
        _set(sections, options[flag], _value(options[flag], flag, values))
    elif positive in options and flag.startswith("--no-") and options[positive].kind is Kind.SWITCH:
        _set(sections, options[positive], False)
    else:
        sections.setdefault("engine", {}).setdefault("extra_args", []).extend([flag, *values])


def _set(sections: dict[str, Any], option: Option, value: Any) -> None:
    section, name = option.field.split(".")
    sections.setdefault(section, {})[name] = value


def _value(option: Option, flag: str, values: list[str]) -> Any:
    if option.kind in (Kind.SWITCH, Kind.PRESENT):
        return True if not values else values[0].lower() not in ("false", "0")
    text = _one(flag, values)
    if option.kind is Kind.JSON:
        return _json(flag, text)
    return _number(text)


def _number(text: str) -> Any:
    """Numbers as numbers, `4k` and `2G` as vLLM reads them (decimal and binary), words as words."""
    if re.fullmatch(r"\d+", text):
        return int(text)
    if re.fullmatch(r"\d*\.\d+|\d+\.\d*", text):
        return float(text)
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([kmgKMG])", text):
        return int(float(match[1]) * _MULTIPLES[match[2]])
    return text


def _one(flag: str, values: list[str]) -> str:
    if len(values) != 1:
        raise ConfigError(f"{flag} takes one value; the command gives {len(values)}.")
    return values[0]


def _json(flag: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{flag} is not JSON: {error}", hint="Was a quote lost in the shell?") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{flag} is {type(value).__name__}; an object is expected.")
    return value

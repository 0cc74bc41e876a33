"""YAML as users mean it: safe, no duplicate keys, and `off` is a word, not a boolean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from accounting.errors import ConfigError


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's booleans (only true and false) and no duplicate keys."""


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
# YAML 1.1 wants a dot and a sign in an exponent: `1e9` would be a string.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, (str, int, float, bool, type(None))):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands here twice", key_node.start_mark
            )
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ConfigError: if the file is missing, unreadable, not UTF-8, not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist.", hint=_neighbours(path)) from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a directory; a YAML file is needed.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return parse_yaml(text, origin=str(path))


def parse_yaml(text: str, *, origin: str) -> dict[str, Any]:
    """Parse a YAML mapping; `origin` names it in messages.

    Raises:
        ConfigError: if it is not YAML or not a mapping.
    """
    try:
        data = yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{origin} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        kind = "empty" if data is None else f"a {type(data).__name__}"
        raise ConfigError(f"{origin} is {kind}; a mapping of keys to values is needed.")
    return data


def _neighbours(path: Path) -> str:
    parent = path.parent if path.parent.is_dir() else None
    files = sorted(p.name for p in parent.glob("*.y*ml"))[:8] if parent else []
    if files:
        return f"In {parent} there is: {', '.join(files)}."
    return "Give the path of a YAML file, or write one with `kilotoken init`."

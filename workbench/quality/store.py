"""Where results are kept: quality/<fingerprint of the numerics>/<set>-<n>-<seed>.json in the cache directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError
from workbench.quality.result import FORMAT
from workbench.run_directory import write_json

Document = dict[str, Any]
_NEEDED = ("label", "fingerprint", "set", "set_key", "n", "seed", "score", "perplexity", "rows", "failures")


def result_path(root: Path, fingerprint: str, set_key: str, *, n: int, seed: int) -> Path:
    """The file of one result; what is known of its items so far lies beside it."""
    return root / "quality" / fingerprint / f"{set_key}-{n}-{seed}.json"


def journal_path(result: Path) -> Path:
    """The file of the items of a result."""
    return result.with_name(f"{result.stem}.items.jsonl")


def write_result(path: Path, document: Document) -> None:
    """Keep a result, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, document)


def read_result(path: Path) -> Document:
    """A result that was kept.

    Raises:
        ConfigError: if the file is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as a quality result: {error}.") from error
    if not isinstance(document, dict) or any(key not in document for key in _NEEDED):
        raise ConfigError(
            f"{path} is not a quality result.", hint="`kilotoken quality` says where it keeps each result."
        )
    if document.get("format") != FORMAT:
        raise ConfigError(
            f"{path} was written by another version of kilotoken.", hint="Measure it again (--again)."
        )
    return document


def results_of(root: Path, fingerprint: str) -> list[Document]:
    """All results of these numerics, unreadable ones left out, the largest n of each set and seed first."""
    found = []
    for path in sorted((root / "quality" / fingerprint).glob("*.json")):
        try:
            found.append(read_result(path))
        except ConfigError:
            continue  # a damaged or foreign file in a cache is no result
    return sorted(found, key=lambda document: (document["set_key"], document["seed"], -document["n"]))

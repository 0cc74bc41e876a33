"""Which format a file has that is named without one: told by content, where that leaves no doubt."""

from __future__ import annotations

import json
from pathlib import Path

from accounting.errors import ConfigError
from loadtest.workloads.azure_trace import COLUMNS
from loadtest.workloads.json_lines import file_bytes, unpacked
from loadtest.workloads.mooncake_trace import FIELDS
from loadtest.workloads.question_sets import MT_BENCH_CATEGORIES, QUESTION_SETS, SPEC_BENCH_CATEGORIES
from loadtest.workloads.servegen_trace import TRACE_END, dataset_of

#: Endings of file names that are looked into.
ENDINGS = (".jsonl", ".jsonl.gz", ".csv", ".json")


def format_of(path: Path) -> str | None:
    """The format's name; None where the content fits none.

    Raises:
        ConfigError: if the file cannot be read, or fits two formats.
    """
    content = unpacked(path, file_bytes(path, hint="Give the path of a file that exists."))
    if path.name.endswith(".csv"):
        return _of_csv(path, content)
    if path.name.endswith(".json"):
        return "sharegpt" if content.lstrip()[:1] == b"[" and b'"conversations"' in content[:4096] else None
    return _of_json_lines(path, content)


def _of_csv(path: Path, content: bytes) -> str | None:
    first = content.partition(b"\n")[0].decode("utf-8-sig", errors="replace").strip()
    if sorted(first.split(",")) == sorted(COLUMNS):
        return "azure"
    if path.name.endswith(TRACE_END) and dataset_of(path).is_file():
        return "servegen"
    return None


def _of_json_lines(path: Path, content: bytes) -> str | None:
    first = next((line for line in content.split(b"\n") if line.strip()), b"")
    try:
        fields = json.loads(first)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    if set(fields) == set(FIELDS):
        return "mooncake"
    if {"question_id", "category", "turns"} <= set(fields):
        return _of_questions(path, content)
    fitting = [name for name, known in QUESTION_SETS.items() if set(known.fields) <= set(fields)]
    return fitting[0] if fitting else None


def _of_questions(path: Path, content: bytes) -> str:
    """MT-bench and Spec-Bench are written alike; their categories tell them apart."""
    found = set()
    for line in content.split(b"\n"):
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(fields, dict) and isinstance(fields.get("category"), str):
            found.add(fields["category"])
    if found and found <= MT_BENCH_CATEGORIES:
        return "mt-bench"
    if found and found <= SPEC_BENCH_CATEGORIES:
        return "spec-bench"
    raise ConfigError(
        f"{path}: it is written as MT-bench and Spec-Bench are, but has categories of neither.",
        hint=f"Say which it is: mt-bench:{path.name} or spec-bench:{path.name}.",
    )

"""An index of runs, made from their directories at will: nothing is in it that the directories do not say.

Table `runs` of a DuckDB file, one row per directory. A directory that cannot be read has the status `corrupt` and the
reason; it never stops the index.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from accounting.errors import KilotokenError, MachineError
from serving.config import ServerConfig
from workbench.experiment import Experiment
from workbench.pair_count import wanted_blocks
from workbench.provenance import machine_sentence
from workbench.run_directory import RunDirectory

INDEX_FILE = "index.duckdb"
COLUMNS = {
    "run": "VARCHAR",
    "date": "VARCHAR",
    "experiment": "VARCHAR",
    "model": "VARCHAR",
    "machine": "VARCHAR",
    "arms": "VARCHAR[]",
    "cells_valid": "INTEGER",
    "cells": "INTEGER",
    "best_usd_per_1k_output_tokens": "DOUBLE",
    "best_arm": "VARCHAR",
    "status": "VARCHAR",
    "reason": "VARCHAR",
    "fingerprint": "VARCHAR",
}
WATCHED = ("plan.json", "experiment.yaml", "provenance.json", "measures.json", "cost.json")


def indexed_runs(
    root: Path, *, rebuild: bool = False, warn: Callable[[str], None] = lambda _text: None
) -> list[dict[str, Any]]:
    """Every run below `root`, oldest first, read anew where a directory has changed since the index was written.

    `warn` is told why the index cannot be kept (a directory that may only be read): the rows are complete all the same.

    Raises:
        MachineError: if there is no such directory, or it cannot be read.
    """
    if not root.is_dir():
        raise MachineError(f"{root} is no directory.", hint="Name the directory that holds the runs.")
    known = {} if rebuild else _read(root / INDEX_FILE)
    rows = []
    try:
        paths = sorted(p for p in root.iterdir() if p.is_dir() and _looks_like_a_run(p))
    except OSError as error:
        raise MachineError(f"{root} cannot be read: {error.strerror or error}.") from error
    for path in paths:
        print_of = _fingerprint(path)
        row = known.get(str(path))
        rows.append(
            row if row and row["fingerprint"] == print_of else {**_row(path), "fingerprint": print_of}
        )
    rows.sort(key=lambda row: (row["date"] or "", row["run"]))
    if failure := _write(root / INDEX_FILE, rows):
        warn(f"the index is not kept, so the next call reads every run again: {failure}")
    return rows


def _looks_like_a_run(path: Path) -> bool:
    return any((path / name).exists() for name in (*WATCHED, "blocks"))


def _fingerprint(path: Path) -> str:
    """Size and time of the files that a row is made of."""
    files = [path / name for name in WATCHED] + sorted(path.glob("blocks/*/block.json"))
    return " ".join(f"{s.st_size}.{s.st_mtime_ns}" if (s := _stat(f)) else "-" for f in files)


def _stat(path: Path) -> Any:
    try:
        return path.stat()
    except OSError:
        return None


def _row(path: Path) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row["run"] = str(path)
    try:
        row |= _facts(path)
    except KilotokenError as error:
        row |= {"status": "corrupt", "reason": error.message}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        row |= {"status": "corrupt", "reason": f"{type(error).__name__}: {error}"}
    return row


def _facts(path: Path) -> dict[str, Any]:
    run = RunDirectory.open(path)
    experiment, provenance = run.experiment(), run.read_json("provenance.json")
    blocks = wanted_blocks(run, experiment)
    missing = sum(run.finished(block) is None for block in blocks)
    facts: dict[str, Any] = {
        "date": str(provenance["started_at"]),
        "experiment": experiment.name,
        "model": ", ".join(_models(experiment, str(path))),
        "machine": machine_sentence(provenance["hardware"]),
        "arms": list(experiment.arms),
        "status": f"{missing} of {len(blocks)} blocks missing" if missing else "finished",
    }
    if not (path / "measures.json").exists() or not (path / "cost.json").exists():
        return {**facts, "reason": "not evaluated: measures.json or cost.json is missing"}
    return facts | _results(run.read_json("measures.json")["cells"], run.read_json("cost.json")["cells"])


def _models(experiment: Experiment, origin: str) -> list[str]:
    configs = experiment.arm_configs(origin=origin).values()
    names = [c.model.name if isinstance(c, ServerConfig) else c.model or c.url for c in configs]
    return list(dict.fromkeys(names))


def _results(cells: list[dict[str, Any]], costs: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts, and the least cost of a cell whose throughput is valid."""
    valid = [
        (cost["usd_per_1k_output_tokens"], cell["arm"])
        for cell, cost in zip(cells, costs, strict=True)
        if cell["verdict"]["throughput"] == "valid"
    ]
    best = min((pair for pair in valid if pair[0] is not None), default=(None, None))
    return {
        "cells": len(cells),
        "cells_valid": len(valid),
        "best_usd_per_1k_output_tokens": best[0],
        "best_arm": best[1],
        "reason": None if best[0] is not None else "no valid cell",
    }


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The rows as last written; none where the file is missing, damaged or of another version."""
    if not path.exists():
        return {}
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            found = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM runs").fetchall()
    except duckdb.Error:
        return {}
    return {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in found}


def _write(path: Path, rows: list[dict[str, Any]]) -> str:
    """Whole or not at all, under another name first; why it could not be written, empty if it was."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        with duckdb.connect(str(partial)) as connection:
            declared = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
            connection.execute(f"CREATE TABLE runs ({declared})")
            marks = ", ".join("?" for _ in COLUMNS)
            for row in rows:
                connection.execute(f"INSERT INTO runs VALUES ({marks})", [row[name] for name in COLUMNS])
        partial.replace(path)
    except OSError as error:
        return f"{path} cannot be written: {error.strerror or error}"
    except duckdb.Error as error:
        return f"{path} cannot be written: {str(error).splitlines()[0]}"
    return ""

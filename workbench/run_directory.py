"""Where every file of a run lies, which stage writes it, and who may write now.

    experiment.yaml        the question, byte for byte as given
    plan.json              blocks and cells in order, seeds
    lengths/<workload>.json    natural length of each prompt, where they are asked for
    capacity/<arm>-<workload>.json    what the search for an arm's capacity found, and every probe
    provenance.json        command, versions, git state, hardware
    blocks/<block>.<n>/    attempt n at a block
        block.json         status: running, finished, failed, interrupted; start-up seconds
        server/            command.json, server.log, resolved.json
        losslessness/      first.jsonl, again.jsonl: greedy texts asked for at the end of this life, where they are
        cells/<cell>/      load.json, requests.parquet, counters.parquet, host.jsonl,
                       metrics_*.prom, cell.json
    pairs.json             how many pairs, where a pilot or a budget fixed it
    measures.json          requests and counters -> measures, no price in it
    cost.json              measures x price
    comparison.json        arms against the baseline
    losslessness/<arm>.json    whether speculation changed the answers, for each speculating arm
    quality/<arm>.json     measured quality, where an arm's numerics differ from the baseline's
    report.html

Natural lengths are recorded by an attempt like any other, `blocks/lengths.<n>`; so are searches for capacity,
`search-<arm>.<n>`, and greedy texts in float32, `lossless-<arm>.<n>`.
An attempt that did not finish is kept on record; the block is run again whole as the next attempt.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from accounting.errors import MachineError, RunError
from workbench.experiment import Experiment, parse_experiment, workload_label
from workbench.plan import BlockPlan, CellPlan, Plan

FINISHED = "finished"
RUNNING = "running"


@dataclass(frozen=True, slots=True)
class CellDirectory:
    """Files of one cell."""

    path: Path

    @property
    def requests(self) -> Path:
        """One row per request."""
        return self.path / "requests.parquet"

    @property
    def counters(self) -> Path:
        """One-second samples of the server's counters and gauges."""
        return self.path / "counters.parquet"

    @property
    def host(self) -> Path:
        """One-second samples of what the machine's CPUs did."""
        return self.path / "host.jsonl"

    @property
    def facts(self) -> Path:
        """Instants, resets, load-generator events."""
        return self.path / "cell.json"

    def metrics_page(self, edge: str) -> Path:
        """A /metrics page as the server wrote it: idle_before, window_start, window_end, idle_after."""
        return self.path / f"metrics_{edge}.prom"


@dataclass(frozen=True, slots=True)
class BlockDirectory:
    """Files of one attempt at a block."""

    path: Path

    @property
    def status(self) -> str:
        """Status as last written; "missing" without a readable block.json."""
        try:
            return str(json.loads((self.path / "block.json").read_text())["status"])
        except (OSError, ValueError, KeyError):
            return "missing"

    def write_status(self, status: str, **facts: Any) -> None:
        """Write block.json atomically."""
        write_json(self.path / "block.json", {"status": status, **facts})

    def seen_s(self) -> float:
        """Seconds from the attempt's beginning to the last file written in it: what is known of one that was cut off."""
        try:
            begun_s = float(json.loads((self.path / "block.json").read_text())["begun_s"])
        except (OSError, ValueError, KeyError):
            return 0.0
        return max(0.0, max(entry.stat().st_mtime for entry in self.path.rglob("*")) - begun_s)

    @property
    def server(self) -> Path:
        """Folder of the server's files."""
        return self.path / "server"

    def cell(self, cell: CellPlan) -> CellDirectory:
        """Folder of one cell."""
        return CellDirectory(self.path / "cells" / cell.cell_id)


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """A run on disk."""

    path: Path

    @staticmethod
    def create(path: Path, experiment_text: str, plan: Plan, provenance: dict[str, Any]) -> RunDirectory:
        """Make a new run directory with what is known before anything starts.

        Raises:
            RunError: if it already holds a run, or anything else.
            MachineError: if it cannot be written.
        """
        if (path / "plan.json").exists():
            raise RunError(
                f"{path} already holds a run.",
                hint=f"Continue it with --resume {path}, or give another --out.",
            )
        try:
            if path.is_dir() and any(path.iterdir()):
                raise RunError(
                    f"{path} is not empty.", hint="A run needs a directory of its own: give another --out."
                )
            (path / "blocks").mkdir(parents=True, exist_ok=True)
            (path / "experiment.yaml").write_text(experiment_text, encoding="utf-8")
            write_json(path / "provenance.json", provenance)
            _write(path / "plan.json", msgspec.json.format(msgspec.json.encode(plan), indent=2))
        except OSError as error:
            raise MachineError(
                f"the run directory {path} cannot be written: {error.strerror or error}.",
                hint="Choose another place with --out.",
            ) from error
        return RunDirectory(path)

    @staticmethod
    def open(path: Path) -> RunDirectory:
        """Open an existing run.

        Raises:
            RunError: if there is none.
        """
        if not (path / "plan.json").is_file():
            raise RunError(f"{path} is not a run directory: it has no plan.json.", hint=_known_runs())
        return RunDirectory(path)

    @property
    def experiment_text(self) -> str:
        """The experiment as it was given.

        Raises:
            RunError: if the file is missing or cannot be read.
        """
        path = self.path / "experiment.yaml"
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(
                f"{path} cannot be read: {error}.",
                hint="A run keeps the question it was asked there; put the file that it was started with back.",
            ) from error

    def experiment(self) -> Experiment:
        """The experiment of this run."""
        return parse_experiment(self.experiment_text, origin=str(self.path / "experiment.yaml"))

    def plan(self) -> Plan:
        """The plan of this run.

        Raises:
            RunError: if it is damaged.
        """
        try:
            return msgspec.json.decode((self.path / "plan.json").read_bytes(), type=Plan)
        except msgspec.DecodeError as error:
            raise RunError(f"{self.path / 'plan.json'} is damaged: {error}") from error

    def lengths(self, workload: str) -> Path:
        """Natural lengths of a workload's prompts."""
        return self.path / "lengths" / f"{workload_label(workload)}.json"

    def capacity(self, arm: str, workload: str) -> Path:
        """What the search for an arm's capacity on a workload found."""
        return self.path / "capacity" / f"{arm}-{workload_label(workload)}.json"

    def attempts(self, block: BlockPlan) -> list[BlockDirectory]:
        """All attempts at a block, oldest first."""
        pattern = re.compile(re.escape(block.block_id) + r"\.(\d+)")
        found = [
            (int(match.group(1)), entry)
            for entry in (self.path / "blocks").iterdir()
            if (match := pattern.fullmatch(entry.name))
        ]
        return [BlockDirectory(entry) for _, entry in sorted(found)]

    def finished(self, block: BlockPlan) -> BlockDirectory | None:
        """The finished attempt at a block, None if there is none."""
        return next((a for a in self.attempts(block) if a.status == FINISHED), None)

    def next_attempt(self, block: BlockPlan) -> BlockDirectory:
        """Make the folder of the next attempt."""
        number = len(self.attempts(block)) + 1
        directory = BlockDirectory(self.path / "blocks" / f"{block.block_id}.{number}")
        (directory.path / "cells").mkdir(parents=True)
        directory.server.mkdir()
        return directory

    def read_json(self, name: str | Path, *, hint: str = "") -> dict[str, Any]:
        """Read one of the run's JSON files; `hint` says how to get it anew where evaluating again does not.

        Raises:
            RunError: if it is missing or damaged.
        """
        try:
            loaded: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(
                f"{self.path / name} cannot be read: {error}",
                hint=hint or f"`kilotoken report {self.path}` makes it again from the measured files.",
            ) from error
        return loaded

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run directory for writing.

        Raises:
            RunError: if another process holds it.
        """
        with (self.path / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"another kilotoken process is working in {self.path}.",
                    hint="Wait for it, or give another --out.",
                ) from None
            handle.write(str(os.getpid()))
            handle.flush()
            yield


def default_run_path(name: str, now: datetime, root: Path = Path("runs")) -> Path:
    """`runs/<time>-<name>`; a number is appended where that exists."""
    base = root / f"{now:%Y%m%d-%H%M%S}-{name}"
    candidate, number = base, 2
    while candidate.exists():
        candidate = base.with_name(f"{base.name}-{number}")
        number += 1
    return candidate


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all, indented for a person."""
    _write(path, (json.dumps(value, indent=2, default=str) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)


def _known_runs() -> str:
    runs = sorted(p.parent for p in Path("runs").glob("*/plan.json"))[-3:]
    listed = ", ".join(str(run) for run in runs)
    return f"Latest runs here: {listed}." if listed else "Make one with `kilotoken run EXPERIMENT`."

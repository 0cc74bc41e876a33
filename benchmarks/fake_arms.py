"""A/A comparisons through whole runs on the fake server, whose blocks and seconds vary as real ones did.

Each comparison is a run of its own, by the code of `kilotoken run`: two arms of one configuration, one workload and load,
one server life per arm and repeat, each with a speed of its own. Runs go side by side in threads of this one process, so
that a host sample counts all their programs as ours: fake servers sleep, and one that is woken late makes it up. A
client that is kept from sending still shows (`client_bound`), and so do programs of others (`noisy_host`).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from accounting.errors import KilotokenError
from workbench import run_command

EXPERIMENT = """
name: same-fake-arms
server:
  model: fake-model
  engine:
    device: fake
    environment:
      KILOTOKEN_FAKE_ARGS: "--ttft-s 0.1 --tpot-s {tpot_s} --block-noise {block_noise:.6f} --step-noise {step_noise:.6f}"
arms: {{one: {{}}, other: {{}}}}
workloads: [chat]
loads: {{streams: [{streams}]}}
output: {{length: fixed, max_tokens: {tokens}}}
window: {{minimum_s: {window_s}, warm_up_s: 1}}
repeats: {repeats}
seed: {seed}
price: {{usd_per_hour: 1.0, source: declared for a benchmark, as_of: 2026-11-26}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeArms:
    """What every comparison is made of. Noise: standard deviations of log speed, per server life and per second."""

    block_noise: float
    step_noise: float
    repeats: int = 6
    streams: int = 2
    tpot_s: float = 0.1
    tokens: int = 16
    window_s: float = 25.0

    def experiment(self, seed: int) -> str:
        """The experiment of one comparison."""
        return EXPERIMENT.format(**{name: getattr(self, name) for name in self.__slots__}, seed=seed)


#: So many times the comparisons that were asked for are run at most: a host that voids every second pair judges none.
MOST_TIMES = 2


def run_comparisons(arms: FakeArms, count: int, directory: Path, *, parallel: int) -> list[dict[str, Any]]:
    """Run in `directory` (one sub-directory each; what is finished there is kept) until so many comparisons were judged, and read
    every one's outcome. A busy host voids cells and with them pairs: comparisons of fewer than four are no trials.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pool = ThreadPoolExecutor(parallel)
    outcomes: list[dict[str, Any]] = []
    try:
        while (missing := count - summary(outcomes)["judged"]) > 0 and len(outcomes) < MOST_TIMES * count:
            more = min(missing, MOST_TIMES * count - len(outcomes))
            seeds = range(len(outcomes) + 1, len(outcomes) + more + 1)
            outcomes += pool.map(lambda seed: _compared(arms, seed, directory), seeds)
    except KeyboardInterrupt:
        os._exit(130)  # threads cannot be stopped; supervisors end the servers of a process that is gone
    return outcomes


def _compared(arms: FakeArms, seed: int, directory: Path) -> dict[str, Any]:
    run, path = directory / f"{seed:03}", directory / f"{seed:03}.yaml"
    if not (run / "comparison.json").is_file():
        path.write_text(arms.experiment(seed))
        with (directory / f"{seed:03}.log").open("a") as log:
            _run(path, run, Console(file=log, width=140))
    return read_outcome(run)


def _run(path: Path, run: Path, console: Console) -> None:
    try:
        if (run / "plan.json").is_file():
            run_command.resume(run, None, console=console)
        else:
            run_command.start(
                path, run, argv=["kilotoken", "run", str(path), "--out", str(run)], console=console
            )
    except KilotokenError as error:
        console.print(f"error: {error.message}\n{error.hint}")


def read_outcome(run: Path) -> dict[str, Any]:
    """Word, pairs and the verdicts of all cells of a finished comparison; `word` is None where the run did not finish."""
    try:
        comparison = json.loads((run / "comparison.json").read_text())["comparisons"][0]
        cells = json.loads((run / "measures.json").read_text())["cells"]
    except (OSError, ValueError):
        return {"run": run.name, "word": None, "pairs": 0, "verdicts": {}, "pair_ratios": []}
    return {
        "run": run.name,
        "word": comparison["word"],
        "pairs": len(comparison["pair_ratios"]),
        "verdicts": dict(Counter(cell["verdict"]["throughput"] for cell in cells)),
        "pair_ratios": comparison["pair_ratios"],
    }


def summary(outcomes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """How many comparisons said what; `not_judged` had fewer than four valid pairs or did not finish."""
    rows = list(outcomes)
    words = Counter(row["word"] or "did not finish" for row in rows)
    alarms = words["cheaper"] + words["dearer"]
    verdicts: Counter[str] = sum((Counter(row["verdicts"]) for row in rows), Counter())
    return {
        "words": dict(words),
        "judged": alarms + words["cannot tell"],
        "not_judged": len(rows) - alarms - words["cannot tell"],
        "alarms": alarms,
        "cells_by_verdict": dict(verdicts),
        "comparisons": rows,
    }

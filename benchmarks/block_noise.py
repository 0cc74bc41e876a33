"""How far apart are blocks of one configuration? Recorded from finished runs, for the tests of the comparison.

    python benchmarks/block_noise.py RUN [RUN ...] --name 2-core-cpu    # results/block-noise-2-core-cpu.json

Per arm, workload and load: the spread of log tokens/s from block to block, what of it the seconds inside a window explain
(batch means: the spread of five-second means over their number, which sees that seconds lean on one another), and what lies between blocks. Per pair of arms: the
spread of log-ratios. In a run whose arms are all the same configuration every log-ratio is noise as it stands; elsewhere it
is noise about its mean. Only cells whose throughput is valid count, and eight blocks of a real server are the least.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from accounting import metric_names as names
from accounting.errors import KilotokenError, RunError
from workbench.cell import WINDOW_END, WINDOW_START
from workbench.experiment import Experiment
from workbench.loads import load_of
from workbench.provenance import hardware, machine_sentence
from workbench.run_directory import CellDirectory, RunDirectory

RESULTS = Path(__file__).parent / "results"
MINIMUM_BLOCKS = 8
BATCH_SECONDS = 5
MINIMUM_BATCHES = 4


@dataclass(frozen=True, slots=True)
class CellNoise:
    """One valid cell: tokens/s of its window, and how its seconds spread, as shares of the mean (None: too few of them).

    `second_sd` of single seconds; `window_sd` of the window's mean, from the means of stretches of five seconds.
    """

    run: str
    block: str
    arm: str
    workload: str
    load: str
    repeat: int
    tokens_per_s: float
    second_sd: float | None
    window_sd: float | None


def main() -> None:
    """Read the runs, print the document, keep it under --name."""
    arguments = _arguments()
    try:
        document = noise_document([RunDirectory.open(path) for path in arguments.runs], fake=arguments.fake)
    except KilotokenError as error:
        sys.exit("\n".join(filter(None, (f"error: {error.message}", error.hint))))
    text = json.dumps(document, indent=2) + "\n"
    print(text, end="")
    if arguments.name:
        (RESULTS / f"block-noise-{arguments.name}.json").write_text(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="finished run directories")
    parser.add_argument("--name", help="keep the document as results/block-noise-NAME.json")
    parser.add_argument("--fake", action="store_true", help="take runs on the fake server too: no real noise")
    return parser.parse_args()


def noise_document(runs: Sequence[RunDirectory], *, fake: bool = False) -> dict[str, Any]:
    """Everything recorded of these runs.

    Raises:
        RunError: with fewer than eight blocks with a valid cell, or a run on the fake server without `fake`.
    """
    cells: list[CellNoise] = []
    left_out: Counter[str] = Counter()
    pairs = []
    for run in runs:
        experiment = run.experiment()
        if not fake and _is_fake(experiment, run):
            raise RunError(
                f"{run.path} was measured on the fake server: its noise is what it was told.",
                hint="Take runs on a real server, or --fake to look at them all the same.",
            )
        found, verdicts = read_noise(run)
        cells += found
        left_out += verdicts
        pairs += pair_rows(found, experiment, run)
    blocks = len({(cell.run, cell.block) for cell in cells})
    if blocks < MINIMUM_BLOCKS:
        raise RunError(
            f"{blocks} blocks have a valid cell; {MINIMUM_BLOCKS} are needed before a spread means anything. "
            f"Left out: {dict(left_out) or 'nothing'}.",
            hint="Give more runs, or run experiments/same-arms.yaml.",
        )
    places = place_rows(cells)
    return {
        "command": "python benchmarks/block_noise.py RUN",
        "machine": machine_sentence(hardware()),
        "runs": [_about(run) for run in runs],
        "blocks": blocks,
        "cells": len(cells),
        "cells_left_out": dict(left_out),
        "pooled": pooled(places, pairs),
        "places": places,
        "pairs": pairs,
    }


def _is_fake(experiment: Experiment, run: RunDirectory) -> bool:
    configs = experiment.arm_configs(origin=str(run.path)).values()
    return any(getattr(getattr(config, "engine", None), "device", "") == "fake" for config in configs)


def _about(run: RunDirectory) -> dict[str, Any]:
    experiment = run.experiment()
    provenance = run.read_json("provenance.json")
    return {
        "run": run.path.name,
        "experiment": experiment.name,
        "started_at": provenance["started_at"],
        "machine": machine_sentence(provenance["hardware"]),
        "same_arms": same_arms(experiment, run),
    }


def same_arms(experiment: Experiment, run: RunDirectory) -> bool:
    """Whether all arms are one configuration under several names."""
    configs = list(experiment.arm_configs(origin=str(run.path)).values())
    return len(configs) > 1 and all(config == configs[0] for config in configs)


def read_noise(run: RunDirectory) -> tuple[list[CellNoise], Counter[str]]:
    """Every valid cell of a run, and how many others there are by verdict.

    Raises:
        RunError: if the run was not evaluated.
    """
    found, left_out = [], Counter[str]()
    measured = {(m["block"], m["workload"], load_of(m)): m for m in run.read_json("measures.json")["cells"]}
    for block in run.plan().blocks:
        attempt = run.finished(block)
        for cell in block.cells if attempt is not None else ():
            assert attempt is not None
            m = measured[block.block_id, cell.workload, cell.load]
            verdict = m["verdict"]["throughput"]
            if verdict != "valid":
                left_out[verdict] += 1
                continue
            place = (run.path.name, block.block_id, m["arm"], m["workload"], load_of(m), m["repeat"])
            rates = second_rates(attempt.cell(cell))
            found.append(CellNoise(*place, m["output_tokens_per_s"], *_spread(rates)))
    return found, left_out


def second_rates(directory: CellDirectory) -> NDArray[np.float64]:
    """Tokens/s between neighbouring samples of the server's counter inside the window."""
    edges = json.loads(directory.facts.read_text())["edges"]
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT at_s, value FROM read_parquet(?) WHERE name = ? AND at_s BETWEEN ? AND ? ORDER BY at_s",
            [
                str(directory.counters),
                names.GENERATION_TOKENS,
                edges[WINDOW_START]["at_s"],
                edges[WINDOW_END]["at_s"],
            ],
        ).fetchnumpy()
    return np.diff(np.asarray(rows["value"])) / np.diff(np.asarray(rows["at_s"]))


def _spread(rates: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Standard deviations of a second and of the mean of all, as shares of the mean."""
    if len(rates) < MINIMUM_BATCHES * BATCH_SECONDS or rates.mean() <= 0:
        return None, None
    shares = rates / rates.mean()
    batches = [part.mean() for part in np.array_split(shares, len(shares) // BATCH_SECONDS)]
    return float(shares.std(ddof=1)), float(np.std(batches, ddof=1)) / math.sqrt(len(batches))


def _grouped(cells: Iterable[CellNoise], *keys: str) -> Iterator[tuple[tuple[Any, ...], list[CellNoise]]]:
    def key(cell: CellNoise) -> tuple[Any, ...]:
        return tuple(getattr(cell, name) for name in keys)

    for values, members in itertools.groupby(sorted(cells, key=key), key=key):
        yield values, list(members)


def place_rows(cells: Iterable[CellNoise]) -> list[dict[str, Any]]:
    """Spread from block to block at each (run, arm, workload, load), split into what is between blocks and within."""
    rows = []
    for (run, arm, workload, load), members in _grouped(cells, "run", "arm", "workload", "load"):
        logs = np.log([cell.tokens_per_s for cell in members])
        within = [sd for cell in members if (sd := cell.window_sd) is not None]
        rows.append(
            {
                "run": run,
                "arm": arm,
                "workload": workload,
                "load": load,
                "blocks": len(members),
                "tokens_per_s": [cell.tokens_per_s for cell in members],
                "log_sd": float(logs.std(ddof=1)) if len(members) > 1 else None,
                "within_sd": _rms(within),
                "second_sd": _rms([cell.second_sd for cell in members if cell.second_sd is not None]),
            }
        )
    return rows


def pair_rows(cells: Sequence[CellNoise], experiment: Experiment, run: RunDirectory) -> list[dict[str, Any]]:
    """Log-ratios of tokens/s, arm over baseline, of every repeat in which both are valid."""
    base = {(c.workload, c.load, c.repeat): c for c in cells if c.arm == experiment.baseline_arm}
    rows = []
    for (arm, workload, load), members in _grouped(cells, "arm", "workload", "load"):
        logs = [
            math.log(cell.tokens_per_s / other.tokens_per_s)
            for cell in members
            if arm != experiment.baseline_arm and (other := base.get((workload, load, cell.repeat)))
        ]
        if len(logs) > 1:
            same = same_arms(experiment, run)
            rows.append(
                {
                    "run": run.path.name,
                    "arm": arm,
                    "against": experiment.baseline_arm,
                    "workload": workload,
                    "load": load,
                    "same_arms": same,
                    "log_ratios": logs,
                    "noise": pair_noise(logs, same=same),
                }
            )
    return rows


def pair_noise(logs: Sequence[float], *, same: bool) -> list[float]:
    """Log-ratios as noise: as they stand between same arms, else about their mean, scaled to its lost degree of freedom."""
    if same:
        return list(logs)
    values = np.asarray(logs)
    centred: list[float] = ((values - values.mean()) * math.sqrt(len(logs) / (len(logs) - 1))).tolist()
    return centred


def pooled(places: Sequence[Mapping[str, Any]], pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One number for each spread (standard deviations of log tokens/s), over all places."""
    several = [row for row in places if row["blocks"] > 1]
    degrees = sum(row["blocks"] - 1 for row in several)
    block_sd = math.sqrt(sum((row["blocks"] - 1) * row["log_sd"] ** 2 for row in several) / degrees)
    within_sd = _rms([row["within_sd"] for row in places if row["within_sd"] is not None])
    noise = [value for row in pairs for value in row["noise"]]
    pair_sd = _rms(noise)
    return {
        "block_sd": block_sd,
        "block_degrees_of_freedom": degrees,
        "within_sd": within_sd,
        "between_sd": None if within_sd is None else math.sqrt(max(0.0, block_sd**2 - within_sd**2)),
        "second_sd": _rms([row["second_sd"] for row in places if row["second_sd"] is not None]),
        "pairs": len(noise),
        "pair_sd": pair_sd,
        # 1 where a pair's two blocks know nothing of each other; below it, pairing takes noise away.
        "pair_to_block_variance": None if pair_sd is None else pair_sd**2 / (2 * block_sd**2),
        "pair_noise": noise,
    }


def _rms(values: Sequence[float]) -> float | None:
    return math.sqrt(sum(v * v for v in values) / len(values)) if values else None


if __name__ == "__main__":
    main()

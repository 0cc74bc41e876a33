"""Slowdowns of 5 and 10 % planted on a real vLLM: how often does the comparison find them within a pilot's pairs?

    python benchmarks/planted_slowdown.py --noise results/block-noise-2-core-cpu.json --start 1 --out DIR --name 2-core-cpu
    python benchmarks/planted_slowdown.py --noise ... --only slower-5 --start 1 --out DIR --name 2-core-cpu
    python benchmarks/planted_slowdown.py --noise ... --finished RUN [RUN ...] --name 2-core-cpu   # start none

A run of planted-slowdown.yaml with as many repeats as the pilot asks for, and some to spare for cells that are not valid, is
one try per workload; tries of one run share their server lives. Each run has another seed. The pilot's number is that of `kilotoken compare`: pairs that find the change in 80 % of tries, at the upper limit of the recorded
spread, for as many arms as the run compares. A run with more repeats counts as several tries, one after the other. The
figures go into results/false-alarms-NAME.json; finished runs in --out are kept and not run again. Exit 1 below 80 %, or with
fewer than five tries.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from accounting.comparison import MINIMUM_PAIRS, Word, compare_costs
from accounting.pairs_needed import POWER, pairs_needed
from benchmarks.block_noise import RESULTS
from benchmarks.sleeping_proposer import VARIABLE
from workbench.compare_metrics import METRICS
from workbench.experiment import Experiment, load_experiment
from workbench.loads import load_of
from workbench.run_directory import RunDirectory
from workbench.strict_yaml import read_yaml

EXPERIMENT = Path(__file__).with_name("planted-slowdown.yaml")
KILOTOKEN = str(Path(sys.executable).with_name("kilotoken"))

Document = dict[str, Any]
#: Repeats for every one that is needed: a cell that a busy host voided takes its pair with it.
SPARE = 1.3
#: Of fewer, four in five could be one lucky try.
LEAST_TRIES = 5


def main() -> None:
    """Run what is missing, count, show and keep."""
    arguments = _arguments()
    noise = json.loads(arguments.noise.read_text())["pooled"]["pair_noise"]
    slowdowns = planted_slowdowns(load_experiment(EXPERIMENT))
    if arguments.only is not None:
        slowdowns = {arm: share for arm, share in slowdowns.items() if arm == arguments.only}
    asked = {arm: pairs_asked(noise, share, family=len(slowdowns)) for arm, share in slowdowns.items()}
    for arm, pairs in asked.items():
        print(f"{arm}: the pilot asks for {pairs} pairs to find {slowdowns[arm]:.0%}")
    repeats = math.ceil(SPARE * max(asked.values()))
    runs = arguments.finished or run_tries(arguments.start, repeats, arguments.out, tuple(slowdowns))
    rows = [
        count_found([RunDirectory.open(run) for run in runs], arm, share, asked[arm], family=len(slowdowns))
        for arm, share in slowdowns.items()
    ]
    print(json.dumps(rows, indent=2))
    if arguments.name:
        path = RESULTS / f"false-alarms-{arguments.name}.json"
        known: Document = json.loads(path.read_text()) if path.is_file() else {}
        others = [row for row in known.get("planted", ()) if row["arm"] not in slowdowns]
        path.write_text(json.dumps(known | {"planted": [*others, *rows]}, indent=2) + "\n")
    sys.exit(int(not all(row["held"] for row in rows)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--noise", type=Path, required=True, help="the pilot: what block_noise.py recorded")
    parser.add_argument(
        "--start", type=int, default=1, metavar="N", help="runs to start, unless they are in --out already"
    )
    parser.add_argument("--out", type=Path, help="directory of the runs")
    parser.add_argument(
        "--only", choices=("slower-5", "slower-10"), help="one slowdown: fewer lives a run, no family of arms"
    )
    parser.add_argument(
        "--finished", type=Path, nargs="+", metavar="RUN", help="count these runs, start none"
    )
    parser.add_argument("--name", help="keep the figures in results/false-alarms-NAME.json")
    given = parser.parse_args()
    if not given.finished and given.out is None:
        parser.error("give --out for new runs, or --finished RUN for those that there are")
    return given


def planted_slowdowns(experiment: Experiment) -> dict[str, float]:
    """Arm -> share by which each of its steps is longer; the baseline is not in it."""
    shares = {
        arm: float(own.get("engine", {}).get("environment", {}).get(VARIABLE, 0))
        for arm, own in experiment.arms.items()
    }
    return {arm: share for arm, share in shares.items() if share > 0}


def pairs_asked(noise: Sequence[float], effect: float, *, family: int) -> int:
    """Pairs that the recorded noise asks for; at least as many as any test needs.

    Raises:
        SystemExit: where it would be more than anyone runs.
    """
    pairs = pairs_needed(noise, effect, family=family).careful_pairs
    if pairs is None:
        sys.exit(f"error: the recorded noise is too wide: no number of pairs finds {effect:.0%}")
    return max(pairs, MINIMUM_PAIRS)


def run_tries(count: int, repeats: int, directory: Path, slower: Sequence[str]) -> list[Path]:
    """Run the experiment with these slower arms so many times, each unless it is finished already."""
    directory.mkdir(parents=True, exist_ok=True)
    document = read_yaml(EXPERIMENT) | {"repeats": repeats}
    kept = (document["baseline"], *slower)
    document["arms"] = {arm: own for arm, own in document["arms"].items() if arm in kept}
    document["server"]["speculation"]["python_path"] = str(EXPERIMENT.parent.resolve())
    runs = []
    for seed in range(1, count + 1):
        run, path = directory / f"{seed:02}", directory / f"{seed:02}.yaml"
        if not (run / "comparison.json").is_file():
            path.write_text(json.dumps(document | {"seed": seed}, default=str))  # JSON is YAML
            started = (run / "plan.json").is_file()
            command = ["run", "--resume", run] if started else ["run", path, "--out", run]
            subprocess.run([KILOTOKEN, *map(str, command)], check=True)
        runs.append(run)
    return runs


def count_found(runs: Sequence[RunDirectory], arm: str, share: float, pairs: int, *, family: int) -> Document:
    """How often an arm was found dearer, in groups of `pairs` neighbouring repeats with a valid cell in both arms."""
    tries = []
    for run in runs:
        for (workload, load), ratios in cost_ratios(run, arm).items():
            for start in range(0, len(ratios) - pairs + 1, pairs):
                found = compare_costs(ratios[start : start + pairs], family=family)
                tries.append(
                    {
                        "run": run.path.name, "workload": workload, "load": load, "word": str(found.word),
                        "ratio": found.ratio, "interval": found.interval, "pair_ratios": list(found.pair_ratios),
                    }
                )  # fmt: skip
    hits = sum(row["word"] == Word.DEARER for row in tries)
    logs = [math.log(ratio) for row in tries for ratio in row["pair_ratios"]]
    return {
        "arm": arm,
        "slowdown": share,
        "pairs": pairs,
        "judged": len(tries),
        "found": hits,
        "target": POWER,
        "held": len(tries) >= LEAST_TRIES and hits >= POWER * len(tries),
        "mean_ratio": math.exp(sum(logs) / len(logs)) if logs else None,
        "tries": tries,
    }


def cost_ratios(run: RunDirectory, arm: str) -> dict[tuple[str, str], list[float]]:
    """Cost of an arm over the baseline's in each repeat where both are valid, by workload and load."""
    experiment = run.experiment()
    cells = zip(run.read_json("measures.json")["cells"], run.read_json("cost.json")["cells"], strict=True)
    costs = {
        (m["arm"], m["workload"], load_of(m), m["repeat"]): METRICS["cost"].usable(m, cost)[0]
        for m, cost in cells
    }
    ratios: dict[tuple[str, str], list[float]] = {}
    for (name, workload, load, repeat), own in sorted(costs.items(), key=lambda item: item[0]):
        base = costs.get((experiment.baseline_arm, workload, load, repeat))
        if name == arm and own is not None and base is not None:
            ratios.setdefault((workload, load), []).append(own / base)
    return ratios


if __name__ == "__main__":
    main()

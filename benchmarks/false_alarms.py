"""How far can the comparison be trusted? False alarms of A/As and the power to find planted slowdowns, in one table.

    python benchmarks/false_alarms.py --noise results/block-noise-2-core-cpu.json --simulated --power --name 2-core-cpu
    python benchmarks/false_alarms.py --noise ... --live-fake 50 --out DIR --name 2-core-cpu     # about 40 minutes
    python benchmarks/false_alarms.py --live-vllm RUN [RUN ...] --name 2-core-cpu                # runs of same-arms.yaml

Each part goes into results/false-alarms-NAME.json beside the parts that are there already. The noise is what
`benchmarks/block_noise.py` recorded of real blocks. Exit 1 if a limit does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.table import Table
from scipy import stats

from benchmarks.block_noise import RESULTS, same_arms
from benchmarks.fake_arms import FakeArms, run_comparisons, summary
from benchmarks.simulated_arms import CURVE_EFFECT, curve, false_alarm_rows, power_rows
from workbench.loads import load_of
from workbench.provenance import hardware, machine_sentence
from workbench.run_directory import RunDirectory

Document = dict[str, Any]
#: So seldom may honest A/As go above the limit of live ones by chance.
BEYOND_LIMIT = 0.005


def main() -> None:
    """Run the parts that were asked for, show and keep all."""
    arguments = _arguments()
    path = RESULTS / f"false-alarms-{arguments.name}.json" if arguments.name else None
    document: Document = json.loads(path.read_text()) if path is not None and path.is_file() else {}
    # The other parts keep the machine that they were made on.
    document = {"machine": machine_sentence(hardware())} | document | _parts(arguments)
    if path is not None:
        path.write_text(json.dumps(document, indent=2) + "\n")
    rows = table_rows(document)
    Console(width=None if sys.stdout.isatty() else 140).print(_table(rows))
    sys.exit(int(not all(row[-1] in ("yes", "–") for row in rows)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--noise", type=Path, help="what block_noise.py recorded")
    parser.add_argument("--simulated", action="store_true", help="1,000 A/As on the recorded noise")
    parser.add_argument("--power", action="store_true", help="planted slowdowns of 2, 5 and 10 %% on it")
    parser.add_argument("--live-fake", type=int, metavar="N", help="N comparisons through whole runs")
    parser.add_argument("--out", type=Path, help="directory of the live runs; what is finished there is kept")
    parser.add_argument("--parallel", type=int, default=12, help="live runs side by side")
    parser.add_argument(
        "--repeats", type=int, default=6, help="pairs of each live comparison: four must be valid"
    )
    parser.add_argument("--live-vllm", type=Path, nargs="+", metavar="RUN", help="finished runs of same arms")
    parser.add_argument("--name", help="keep the figures in results/false-alarms-NAME.json")
    given = parser.parse_args()
    if (given.simulated or given.power or given.live_fake) and given.noise is None:
        parser.error("--simulated, --power and --live-fake need --noise: run benchmarks/block_noise.py first")
    if given.live_fake and given.out is None:
        parser.error(
            "--live-fake needs --out: its runs are kept, so that they can go on after an interruption"
        )
    return given


def _parts(arguments: argparse.Namespace) -> Document:
    document: Document = {}
    noise: Document = json.loads(arguments.noise.read_text()) if arguments.noise else {}
    if noise:
        document["noise"] = {"file": arguments.noise.name, "blocks": noise["blocks"]} | {
            key: value for key, value in noise["pooled"].items() if key != "pair_noise"
        }
    if arguments.simulated:
        document["simulated"] = false_alarm_rows(noise["pooled"]["pair_noise"])
    if arguments.power:
        document["power"] = power_rows(noise["pooled"]["pair_noise"])
        document["curve"] = {"slowdown": CURVE_EFFECT, "points": curve(noise["pooled"]["pair_noise"])}
    if arguments.live_fake:
        arms = fake_arms_of(noise["pooled"], repeats=arguments.repeats)
        outcomes = run_comparisons(arms, arguments.live_fake, arguments.out, parallel=arguments.parallel)
        document["live_fake"] = {
            "block_noise": arms.block_noise,
            "step_noise": arms.step_noise,
            "repeats": arms.repeats,
            "parallel": arguments.parallel,
            "machine": machine_sentence(hardware()),
        } | summary(outcomes)
    if arguments.live_vllm:
        document["live_vllm"] = vllm_words([RunDirectory.open(path) for path in arguments.live_vllm])
    return document


def fake_arms_of(pooled: Document, *, repeats: int) -> FakeArms:
    """Fake arms whose server lives and seconds vary as the recorded ones.

    A pair's spread counts for the lives: what real blocks of one pair share cancels in it, and fake ones share nothing.
    """
    block_variance = pooled["pair_sd"] ** 2 / 2
    within_variance = min((pooled["within_sd"] or 0.0) ** 2, block_variance)
    seconds = FakeArms(block_noise=0.0, step_noise=0.0).window_s  # independent ones, which average out
    return FakeArms(
        block_noise=(block_variance - within_variance) ** 0.5,
        step_noise=(within_variance * seconds) ** 0.5,
        repeats=repeats,
    )


def vllm_words(runs: list[RunDirectory]) -> Document:
    """What the A/A comparisons of finished runs of same arms said."""
    rows = []
    for run in runs:
        if not same_arms(run.experiment(), run):
            sys.exit(f"error: the arms of {run.path} are not the same: its words are no false alarms")
        for row in run.read_json("comparison.json")["comparisons"]:
            place = {"run": run.path.name, "workload": row["workload"], "load": load_of(row), "verdicts": {}}
            rows.append(
                place
                | {"word": row["word"], "pairs": len(row["pair_ratios"]), "pair_ratios": row["pair_ratios"]}
            )
    return summary(rows)


#: Comparisons that each live A/A must have judged: of fewer, alarms in most of them could count as chance.
LEAST_JUDGED = {"live_vllm": 10, "live_fake": 50}


def alarms_allowed(comparisons: int) -> int:
    """Most false alarms among so many live A/As: more come by chance in less than one of 200 (10: 3, 50: 7)."""
    return next(k for k in range(comparisons + 1) if stats.binom.sf(k, comparisons, 0.05) <= BEYOND_LIMIT)


def table_rows(document: Document) -> list[tuple[str, ...]]:
    """What was tried, how it is, what it must be, whether it holds."""
    rows: list[tuple[str, ...]] = []
    for row in document.get("simulated", ()):
        low, high = row["limits"]
        words = "yes" if row["inside"] else "yes" if row["held"] else "no"
        below = "" if row["inside"] or not row["held"] else " (conservative)"
        rows.append(
            (
                f"simulated A/A, {row['noise']} noise, {row['pairs']} pairs",
                f"{row['alarms']} of {row['tries']} alarms{below}", f"{low} to {high}", words,
            )
        )  # fmt: skip
    for key, name in (("live_vllm", "live A/A, real vLLM"), ("live_fake", "live A/A, fake server")):
        if key in document:
            found = document[key]
            allowed = alarms_allowed(found["judged"])
            enough = found["judged"] >= LEAST_JUDGED[key]
            least = "" if enough else f", of at least {LEAST_JUDGED[key]}"
            left = f", {found['not_judged']} not judged" if found["not_judged"] else ""
            rows.append(
                (name, f"{found['alarms']} of {found['judged']} alarms{left}", f"at most {allowed}{least}",
                 "yes" if enough and found["alarms"] <= allowed else "no")
            )  # fmt: skip
    for row in document.get("power", ()):
        found = " / ".join(
            "–" if row[kind] is None else f"{row[kind]:.0%}" for kind in ("normal", "resampled")
        )
        own = " / ".join(f"{row[f'{kind}_own_pilot']['found']:.0%}" for kind in ("normal", "resampled"))
        rows.append(
            (f"simulated slowdown of {row['slowdown']:.0%}, {row['asked']} pairs as the pilot asks",
             f"found in {found} of tries; after a pilot of its own {own}", f"at least {row['target']:.0%}", "yes" if row["held"] else "no")
        )  # fmt: skip
    if "curve" in document:
        for point in document["curve"]["points"]:
            rows.append(
                (f"simulated slowdown of {document['curve']['slowdown']:.0%}, {point['pairs']} pairs",
                 f"found in {point['normal']:.0%} / {point['resampled']:.0%} of tries",
                 f"expected {point['expected']:.0%}", "–")
            )  # fmt: skip
    for row in document.get("planted", ()):
        rows.append(
            (f"slowdown of {row['slowdown']:.0%} planted on real vLLM, {row['pairs']} pairs as the pilot asks",
             f"found in {row['found']} of {row['judged']} tries", f"at least {row['target']:.0%}",
             "yes" if row["held"] else "no")
        )  # fmt: skip
    return rows


def _table(rows: list[tuple[str, ...]]) -> Table:
    table = Table("what", "how it is", "what it must be", "holds", title_justify="left", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    main()

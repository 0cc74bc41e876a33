"""What matters in training a draft: one choice changed at a time, on the same answers, each training as long as the others.

    kilotoken draft make --target smollm2-135m-instruct --workload chat --workload copy --kind eagle3 --budget 60m --out DIR
    python benchmarks/draft_ablations.py --made DIR --minutes 6 --work WORK --name 2-core-cpu

Simulated acceptance length on the held-out answers (exact for greedy traffic), of each variant and of each repeat with another
seed; the spread between seeds says which differences mean something. Finished trainings in WORK are kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from workbench.child_steps import run_module
from workbench.drafting.request import Kind
from workbench.drafting.trainer import MODULES
from workbench.provenance import collect_provenance, machine_sentence
from workbench.run_directory import write_json

RESULTS = Path(__file__).with_name("results")
Row = dict[str, Any]

VARIANTS: dict[str, dict[str, Row]] = {
    "eagle3": {
        "as shipped": {},
        "initial: random": {"initial": "random"},
        "loss: KL throughout": {"late": "kl"},
        "loss: total variation throughout": {"early": "tv", "late": "tv"},
        "loss: cross-entropy": {"early": "ce", "late": "ce"},
        "vocabulary: 2,048": {"vocabulary_sizes": [2048]},
        "vocabulary: 16,384": {"vocabulary_sizes": [16384]},
        "unrolled steps: 1": {"steps": 1},
        "unrolled steps: 5": {"steps": 5},
        "no noise on features": {"noise": 0.0},
        "answers: a quarter": {"share": 0.25},
        "answers: half": {"share": 0.5},
    },
    "distil": {
        "as shipped": {},
        "loss: KL throughout": {"late": "kl"},
        "loss: total variation throughout": {"early": "tv", "late": "tv"},
        "loss: cross-entropy": {"early": "ce", "late": "ce"},
        "embedding trained too": {"train_embedding": True},
        "embedding left as it was": {"train_embedding": False},
        "learning rate: a third": {"learning_rate_times": 1 / 3},
        "learning rate: three times": {"learning_rate_times": 3.0},
        "answers: a quarter": {"share": 0.25},
        "answers: half": {"share": 0.5},
    },
}
SEEDS = (1, 2)


def main() -> None:
    """Train what is missing, show, keep."""
    given = _arguments()
    asked = json.loads((given.made / "make.json").read_text())["asked"]
    kind: Kind = asked["training"]["kind"]
    rows = []
    shipped = json.loads((given.made / "training" / "job.json").read_text())
    for name, change in VARIANTS[kind].items():
        if change and all(key in shipped and shipped[key] == value for key, value in change.items()):
            continue  # it is what was made
        seeds = SEEDS if name == "as shipped" else SEEDS[:1]
        lengths = [_trained(given, kind, name, change, seed) for seed in seeds]
        rows.append({"variant": name, "change": change, "seeds": lengths})
        print(
            f"{name:<36}"
            + "  ".join(f"{row['acceptance_length']:.3f} ({row['steps']} steps)" for row in lengths),
            flush=True,
        )
    provenance = collect_provenance(sys.argv)
    document = {
        "command": provenance["command"], "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_sentence(provenance["hardware"]), "versions": provenance["versions"], "git": provenance["git"],
        "asked": asked, "minutes_each": given.minutes, "rows": rows,
    }  # fmt: skip
    if given.name:
        write_json(RESULTS / f"draft-ablations-{kind}-{given.name}.json", document)


def _trained(given: argparse.Namespace, kind: Kind, name: str, change: Row, seed: int) -> Row:
    directory = given.work / f"{name.replace(': ', '-').replace(' ', '-').replace(',', '')}-{seed}"
    kept = directory / "ablation.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text()))
    directory.mkdir(parents=True, exist_ok=True)
    job = json.loads((given.made / "training" / "job.json").read_text())
    change = dict(change)
    share = change.pop("share", 1.0)
    job["learning_rate"] *= change.pop("learning_rate_times", 1.0)
    # The target's words are asked of each training anew: a variant's time is what its own training takes.
    job |= change | {"directory": str(directory.resolve()), "seed": seed, "budget_s": 60.0 * given.minutes}
    if share < 1.0:
        job["trained"] = str(_part(Path(job["trained"]), directory / "train.jsonl", share).resolve())
    write_json(directory / "job.json", job)
    outcome = run_module(MODULES[kind], [str(directory / "job.json")], lambda *_: None)
    if outcome.error:
        sys.exit(f"error: {name}: {outcome.error}")
    found = outcome.result
    row = {
        "seed": seed, "steps": found["steps"], "elapsed_s": found["elapsed_s"], "ended": found["ended"],
        "acceptance_length": found["after"]["acceptance_length"], "survival": found["after"]["survival"],
        "before": found["before"]["acceptance_length"],
        **{key: found[key] for key in ("coverage", "draft_vocabulary") if key in found},
    }  # fmt: skip
    write_json(kept, row)
    for folder in ("teacher", "teacher-trained", "teacher-held_out", "last", "best"):
        shutil.rmtree(directory / folder, ignore_errors=True)
    return row


def _part(source: Path, out: Path, share: float) -> Path:
    """A share of the answers, evenly taken."""
    lines = source.read_text().splitlines()
    step = round(1 / share)
    out.write_text("\n".join(lines[::step]) + "\n")
    return out


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--made", type=Path, required=True, help="directory of `kilotoken draft make`")
    parser.add_argument(
        "--minutes", type=float, default=6.0, help="each training, the target's pass included"
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--name", help="write results/draft-ablations-KIND-NAME.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Does the estimate say what a real server gives? SmolLM2-135M and TinyLlama-1.1B at 1 to 32 streams, predicted and measured.

    python benchmarks/estimate_against_measured.py --name 2-core-cpu [--work DIR]

This machine is measured as a device, the engine's own time per step on a third model; then both models are served and loaded,
and each cell is estimated at its own load. Nothing of the two models' runs goes into the estimate. What is done already stays
in DIR; the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from workbench.measured_device import device_file
from workbench.provenance import hardware, machine_sentence
from workbench.run_directory import write_json

ROOT = Path(__file__).parents[1]
MODELS = {"smollm2-135m-instruct": "step-times-smollm2", "tinyllama-1.1b-chat": "step-times-tinyllama"}
LIMIT = 0.25
RESULTS = Path(__file__).with_name("results")


def main() -> None:
    """Measure, estimate, write the document; exit 1 if the median error exceeds the limit."""
    arguments = _arguments()
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "device.json").exists():
        _kilotoken("doctor", "--measure", "--engine")
        (work / "device.json").write_text(device_file().read_text(encoding="utf-8"), encoding="utf-8")
    for experiment in MODELS.values():
        run = work / "runs" / experiment
        if (run / "measures.json").exists():
            continue
        begun = (run / "plan.json").exists()
        _kilotoken(
            "run",
            *(("--resume", run) if begun else (ROOT / "experiments" / f"{experiment}.yaml", "--out", run)),
        )
    cells = [row | {"model": model} for model in MODELS for row in _beside(model, work / "runs")]
    errors = [abs(row["error"]) for row in cells]
    document = {
        "command": f"python benchmarks/estimate_against_measured.py --name {arguments.name}",
        "machine": machine_sentence(hardware()),
        "device": json.loads((work / "device.json").read_text(encoding="utf-8")),
        "median_error": median(errors),
        "largest_error": max(errors),
        "limit_of_the_median": LIMIT,
        "cells": cells,
    }
    write_json(RESULTS / f"estimate-against-measured-{arguments.name}.json", document)
    for row in cells:
        print(
            f"{row['model']:24} {row['streams']:>3} streams  predicted {row['predicted_tokens_per_s']:7.1f}  "
            f"measured {row['measured_tokens_per_s']:7.1f} tokens/s  {row['error']:+.0%}  ({row['bound']})"
        )
    print(
        f"median |error| {document['median_error']:.0%} (limit {LIMIT:.0%}), largest {document['largest_error']:.0%}"
    )
    sys.exit(0 if document["median_error"] <= LIMIT else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", required=True, help="of the machine, in the result's file name")
    parser.add_argument("--work", type=Path, default=Path("estimate-against-measured"))
    return parser.parse_args()


def _kilotoken(*words: object) -> str:
    argv = [sys.executable, "-m", "workbench.cli", *map(str, words)]
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout


def _beside(model: str, runs: Path) -> list[dict[str, Any]]:
    """What `kilotoken estimate` itself says of the runs' valid cells."""
    said = _kilotoken("estimate", model, "--device", "this-machine", "--runs", runs.resolve(), "--json")
    return list(json.loads(said)["measured"]["cells"])


if __name__ == "__main__":
    main()

"""A profile whose run is real to the letter of its files; its cells come from an engine whose steps are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accounting.planning.drafting_yield import DraftingYield, no_drafting
from accounting.planning.steady_rate import RequestShape, mean_step
from tests.accounting.planning import engines
from workbench.experiment import load_experiment
from workbench.plan import make_plan
from workbench.run_directory import RunDirectory, write_json

Row = dict[str, Any]
SHAPES = {
    "copy": RequestShape(prefilled=270.0, output=61.0, context=300.0),
    "chat": RequestShape(prefilled=50.0, output=61.0, context=80.0),
}
STEPS = 100_000
#: Share of the next drafted token that is accepted.
ACCEPTED = 0.5


def drafting_of(arm: str) -> DraftingYield:
    """What an arm's drafter yields: the n-grams find something in six steps of ten."""
    drafter, _, rest = arm.partition("-k")
    if drafter == "off":
        return no_drafting()
    k = int(rest.partition("-at-")[0])
    share = 0.6 if drafter == "ngram" else 1.0
    survival = tuple(share * ACCEPTED ** (i + 1) for i in range(k))
    passes = float(k) if drafter == "draft_model" else 0.0
    return DraftingYield(method=drafter, k=k, drafted=share * k, survival=survival, draft_steps=passes)


def cell(arm: str, workload: str, streams: int, *, verdict: str = "valid") -> Row:
    """One window of a closed loop on the known engine."""
    drafting, shape = drafting_of(arm), SHAPES[workload]
    work = mean_step(streams, drafting, shape)
    window_s = STEPS * engines.seconds(work)
    decode_steps = STEPS * work.sequences
    requests = decode_steps / shape.decode_steps(drafting)
    found = 0.6 if drafting.method == "ngram" else 1.0
    return {
        "arm": arm, "workload": workload, "streams": streams, "load": f"{streams} streams", "repeat": 1,
        "window_s": window_s, "engine_steps": STEPS, "decode_steps": round(decode_steps),
        "draft_tokens": round(STEPS * work.drafted) if drafting.k else None,
        "drafts": round(decode_steps * found) if drafting.k else None,
        "tokens_per_step": {"value": drafting.tokens_per_step, "reason": None},
        "acceptance_by_position": [s / found for s in drafting.survival],
        "prompt_tokens": round(STEPS * work.prefilled / 0.9), "cached_prompt_tokens": round(STEPS * work.prefilled / 9),
        "requests": round(requests), "output_tokens_per_s": requests * shape.output / window_s,
        "request_means": {
            "prompt_tokens": shape.prefilled / 0.9, "answer_tokens": shape.output,
            "decode_context_tokens": shape.context,
        },
        "verdict": {"throughput": verdict}, "reason": None if verdict == "valid" else "steal of 12 %",
    }  # fmt: skip


class SimulatedRun:
    """Runs an experiment's file; `verdicts` of some arms' cells are not valid."""

    def __init__(self, spoilt: Sequence[str] = ()) -> None:
        self.spoilt, self.runs = spoilt, 0

    def __call__(self, file: Path, directory: Path) -> None:
        self.runs += 1
        experiment = load_experiment(file)
        run = RunDirectory.create(directory, file.read_text(encoding="utf-8"), make_plan(experiment), {})
        cells = [
            cell(arm, workload, streams, verdict="noisy_host" if arm in self.spoilt else "valid")
            for arm in experiment.arms
            for workload in experiment.workloads
            for streams in experiment.loads.streams
        ]
        write_json(run.path / "measures.json", {"cells": cells, "pooled": []})

"""Replay of a draft model or an EAGLE-3 head: where its drafts agree is found in a child process, which holds the models."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from accounting.errors import ModelError
from drafts.replay.matched import Known, replay_matched
from drafts.replay.traces import Trace
from drafts.replay.walk import WalkCounts
from serving.engine_build import installed_device
from serving.models.draft_verdict import checkpoint_mark, kept_verdicts
from serving.models.fetch import Report
from serving.number_type import explicit_type
from workbench.child_steps import Outcome, failure, run_module
from workbench.models import resolve_model


@dataclass(frozen=True, slots=True)
class DraftModel:
    """A draft or head and its target, by name or directory; `dtype` is the type that both are served in (auto: the fast one
    of this machine).

    `unchecked`: replay it even where `kilotoken draft check` failed it. `sample_method`: as vLLM's `draft_sample_method`; it
    matters for sampled answers alone.
    """

    draft: str
    target: str
    dtype: str = "auto"
    unchecked: bool = False
    sample_method: Literal["greedy", "probabilistic"] = "greedy"


def replay_draft(
    path: Path,
    traces: Sequence[Trace],
    drafter: DraftModel,
    ks: Sequence[int],
    max_model_len: int | None,
    *,
    report: Report,
) -> dict[int, list[WalkCounts]]:
    """Counts by k; one pass over the answers serves all of them, as such drafts do not depend on k.

    Raises:
        ModelError: if a model cannot be had or read, or is no draft for this target.
    """
    draft = resolve_model(drafter.draft, base_dir=Path(), report=report, tokenizer_needed=False)
    target = resolve_model(drafter.target, base_dir=Path(), report=report)
    draft_at = Path(draft.served_from)
    verdict = kept_verdicts(draft_at, checkpoint_mark(draft_at)).get(
        checkpoint_mark(Path(target.served_from))
    )
    if verdict is not None and (failed := verdict.failure(drafter.draft)) and not drafter.unchecked:
        raise ModelError(
            failed,
            hint="Train or export it again and check it, or replay it all the same with --unchecked.",
        )
    with tempfile.TemporaryDirectory(prefix="kilotoken-replay-") as folder:
        job, out = Path(folder) / "job.json", Path(folder) / "runs.jsonl"
        asked = {
            "traces": str(path.resolve()), "target": target.served_from, "draft": draft.served_from,
            "out": str(out), "k": max(ks), "sample_method": drafter.sample_method,
            "dtype": explicit_type(drafter.dtype, device=installed_device()),
        }  # fmt: skip
        job.write_text(json.dumps(asked), encoding="utf-8")
        outcome = run_module("drafts.training.draft_matches", [str(job)], report)
        if outcome.error:
            raise _failed(drafter, outcome)
        known = [Known(**json.loads(line)) for line in out.read_text(encoding="utf-8").splitlines()]
    return replay_matched(traces, known, ks, max_model_len)


def _failed(drafter: DraftModel, outcome: Outcome) -> ModelError:
    hint = outcome.hint or "It takes torch and transformers, which come with the engine."
    return failure(f"{drafter.draft} could not be replayed", outcome, hint=hint)

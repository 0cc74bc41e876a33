"""Distil a draft model from its target. Run as `python -m drafts.distil.train JOB.json`; it says its progress on stdout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from drafts.child_words import say, told
from drafts.distil.initial import cut_layers, small_model
from drafts.distil.teacher import LIKELIEST, DistilTeacher, columns
from drafts.distil.trainee import DistilTrainee, DistilTraining
from drafts.tokenizer_files import copy_tokenizer
from drafts.training.job import TrainingJob, open_examples, read_job, store_identity, train_and_judge
from drafts.training.objective import Objective
from drafts.training.teacher_pass import teacher_pass


class DistilJob(TrainingJob, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`start`: the directory of a small model of the same tokenizer; without one `layers` of the target are taken."""

    start: str | None = None
    layers: tuple[int, ...] = ()
    likeliest: int = LIKELIEST
    early: Objective = Objective.KL
    late: Objective = Objective.LK_HYBRID
    hybrid_from: float = 2 / 3


def distil(job: DistilJob) -> dict[str, Any]:
    """Train and export; the result for the process that asked.

    Raises:
        ConfigError: if the examples cannot be used.
        MachineError: if the disk cannot hold what is needed.
    """
    if job.threads:
        torch.set_num_threads(job.threads)
    directory = Path(job.directory)
    examples, held_out = open_examples(job)
    store = teacher_pass(
        lambda: DistilTeacher(_target(job, job.device), job.likeliest),
        examples,
        columns(job.likeliest),
        directory / "teacher",
        identity=store_identity(job, Path(job.trained), likeliest=job.likeliest),
        device=job.device,
        tell=lambda done, total: say(stage="asking the target", done=done, total=total),
    )
    draft = _draft(job).to(job.device)
    how = DistilTraining(early=job.early, late=job.late, hybrid_from=job.hybrid_from)
    trainee = DistilTrainee(draft, trained=store, how=how)
    found = train_and_judge(job, trainee, examples, held_out)
    _export(draft, Path(job.start or job.target), directory / "draft")
    return found


def _target(job: DistilJob, device: str) -> Any:
    return AutoModelForCausalLM.from_pretrained(job.target, dtype=torch.bfloat16).to(device).eval()


def _draft(job: DistilJob) -> Any:
    if job.start is None:
        return cut_layers(_target(job, "cpu"), job.layers)
    return small_model(Path(job.start), target_vocabulary=_vocabulary(job))


def _vocabulary(job: DistilJob) -> int:
    from transformers import AutoConfig

    return int(AutoConfig.from_pretrained(job.target).vocab_size)


def _export(draft: Any, source: Path, directory: Path) -> None:
    """Weights in bfloat16 as they are served, the tokenizer's files as they were."""
    draft.to(torch.bfloat16).save_pretrained(directory)
    copy_tokenizer(source, directory)


if __name__ == "__main__":
    sys.exit(told(lambda: distil(read_job(Path(sys.argv[1]), DistilJob))))

"""Distil a draft model from its target. Run as `python -m drafts.distil.train JOB.json`; it says its progress on stdout.

`--check JOB.json` says whether there can be such a draft, and trains nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from accounting.errors import ConfigError
from drafts.child_words import say, told
from drafts.distil.initial import cut_layers, small_model
from drafts.distil.says import model_says
from drafts.distil.teacher import LIKELIEST, DistilTeacher, columns
from drafts.distil.trainee import DistilTrainee, DistilTraining
from drafts.tokenizer_files import copy_tokenizer
from drafts.training.device import type_for
from drafts.training.examples import ExampleFile
from drafts.training.finish import finish_draft, texts_to_probe
from drafts.training.job import TrainingJob, open_examples, read_job, store_identity, train_and_judge
from drafts.training.objective import Objective
from drafts.training.parity import recorded
from drafts.training.target import load_target
from drafts.training.teacher_pass import teacher_pass


class DistilJob(TrainingJob, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`start`: the directory of a small model of the same tokenizer; without one `layers` of the target are taken.

    `train_embedding`: false leaves embedding and tied output rows as they are, so that they need not be shipped.
    """

    start: str | None = None
    layers: tuple[int, ...] = ()
    likeliest: int = LIKELIEST
    train_embedding: bool = True
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
        lambda: DistilTeacher(_target(job, job.where), job.likeliest),
        examples,
        columns(job.likeliest),
        directory / "teacher",
        identity=store_identity(job, Path(job.trained), likeliest=job.likeliest),
        device=job.where,
        tell=lambda done, total: say(stage="asking the target", done=done, total=total),
    )
    draft = _draft(job).to(job.where)
    if not job.train_embedding:
        draft.get_input_embeddings().weight.requires_grad_(False)
    how = DistilTraining(early=job.early, late=job.late, hybrid_from=job.hybrid_from)
    trainee = DistilTrainee(draft, trained=store, how=how)
    found = train_and_judge(job, trainee, examples, held_out, spent_s=store.spent_s)
    _export(job, draft, held_out, found)
    return found


def _target(job: DistilJob, device: str) -> Any:
    return load_target(job.target, device, type_for(device))


def _draft(job: DistilJob) -> Any:
    if job.start is None:
        return cut_layers(_target(job, "cpu"), job.layers)
    return small_model(Path(job.start), target_vocabulary=_vocabulary(job))


def _vocabulary(job: DistilJob) -> int:
    return int(AutoConfig.from_pretrained(job.target).vocab_size)


def check(job: DistilJob) -> None:
    """Whether there can be such a draft, from the config.json files alone.

    Raises:
        ConfigError: if not.
    """
    config = AutoConfig.from_pretrained(job.target)
    if job.start is None:
        if not job.layers or any(not 0 <= layer < config.num_hidden_layers for layer in job.layers):
            raise ConfigError(
                f"layers {list(job.layers)}: each from 0 to {config.num_hidden_layers - 1}, and one at least."
            )
        return
    sizes = config.vocab_size, AutoConfig.from_pretrained(job.start).vocab_size
    if sizes[0] != sizes[1]:
        raise ConfigError(
            f"the model to begin with has {sizes[1]:,} tokens, the target {sizes[0]:,}: a draft needs the same.",
            hint="Give --start a model of the target's tokenizer, or none, for layers of the target itself.",
        )


def _export(job: DistilJob, draft: Any, held_out: ExampleFile, found: dict[str, Any]) -> None:
    """Weights in bfloat16 as they are served, the tokenizer's files as they were, and what was said from these weights."""
    directory = Path(job.directory) / "draft"
    with torch.no_grad():
        # The weights alone: rounding the whole module would round the rotary angles too, which no server does.
        for weight in draft.parameters():
            weight.copy_(weight.to(torch.bfloat16))
    texts, ids = texts_to_probe(held_out), torch.arange(draft.config.vocab_size)
    record = recorded(model_says(draft.eval()), ids, texts, dtype="float32")
    draft.to(torch.bfloat16).save_pretrained(directory)
    copy_tokenizer(Path(job.start or job.target), directory)
    finish_draft(directory, job, "distil", found, record)


if __name__ == "__main__":
    _work = check if sys.argv[1] == "--check" else distil
    sys.exit(told(lambda: _work(read_job(Path(sys.argv[-1]), DistilJob))))

"""Train an EAGLE-3 head. Run as `python -m drafts.eagle3.train JOB.json`; it says its progress on stdout."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from accounting.errors import ModelError
from drafts.child_words import say, told
from drafts.eagle3.export import Layout, export_head
from drafts.eagle3.initial import initial_head, shape_for
from drafts.eagle3.teacher import Eagle3Teacher, columns, default_layers
from drafts.eagle3.trainee import HeadTrainee, HeadTraining
from drafts.eagle3.vocabulary import DraftVocabulary, choose_vocabulary, count_tokens
from drafts.training.examples import Example, ExampleFile
from drafts.training.job import TrainingJob, open_examples, read_job, store_identity, train_and_judge
from drafts.training.objective import Objective
from drafts.training.teacher_pass import teacher_pass

#: Targets whose layers the head's own is made after, and whose class in vLLM hands out the states it needs.
TARGETS = ("llama", "qwen2", "qwen3", "mistral")


class Eagle3Job(TrainingJob, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`layers` of the target to look behind; vLLM's default without any."""

    layers: tuple[int, ...] = ()
    vocabulary_sizes: tuple[int, ...] = (8192, 16384, 32768)
    steps: int = 3
    decay: float = 0.8
    early: Objective = Objective.KL
    late: Objective = Objective.LK_HYBRID
    hybrid_from: float = 2 / 3
    noise: float = 0.05
    verifier: str = ""


def train_head(job: Eagle3Job) -> dict[str, Any]:
    """Train and export in both layouts; the result for the process that asked.

    Raises:
        ConfigError: if the examples cannot be used.
        ModelError: if no head can be trained for the target.
        MachineError: if the disk cannot hold what is needed.
    """
    if job.threads:
        torch.set_num_threads(job.threads)
    directory = Path(job.directory)
    files = dict(zip(("trained", "held_out"), open_examples(job), strict=True))
    target = AutoModelForCausalLM.from_pretrained(job.target, dtype=torch.bfloat16).to(job.device).eval()
    config = target.config
    if config.model_type not in TARGETS:
        raise ModelError(
            f"No EAGLE-3 head can be trained here for {config.model_type}: {', '.join(TARGETS)} can have one."
        )
    layers = job.layers or default_layers(config.num_hidden_layers)
    vocabulary = _vocabulary(job, files, config)
    stores = {
        name: teacher_pass(
            lambda: Eagle3Teacher(target, layers),
            examples,
            columns(config.hidden_size, len(layers)),
            directory / f"teacher-{name}",
            identity=store_identity(job, examples.path, layers=layers),
            device=job.device,
            tell=partial(_say_asked, name),
        )
        for name, examples in files.items()
    }
    shape = shape_for(config, vocabulary=len(vocabulary.target_ids), features=len(layers))
    head = initial_head(target, shape, vocabulary, seed=job.seed).to(job.device)
    how = HeadTraining(
        steps=job.steps,
        decay=job.decay,
        early=job.early,
        late=job.late,
        hybrid_from=job.hybrid_from,
        noise=job.noise,
    )
    trainee = HeadTrainee(
        head, target, vocabulary, trained=stores["trained"], held_out=stores["held_out"], how=how
    )
    found = train_and_judge(job, trainee, files["trained"], files["held_out"])
    for layout, folder in ((Layout.PLAIN, "draft"), (Layout.SPECULATORS, "draft-speculators")):
        export_head(
            head, vocabulary, config, layers, directory / folder, layout=layout, verifier=job.verifier
        )
    counts = count_tokens(_answers(files["held_out"]), config.vocab_size)
    return found | {
        "draft_vocabulary": len(vocabulary.target_ids),
        "coverage": vocabulary.coverage(counts),
        "layers": list(layers),
    }


def _vocabulary(job: Eagle3Job, files: dict[str, ExampleFile], config: Any) -> DraftVocabulary:
    size = config.vocab_size
    counts = {name: count_tokens(_answers(examples), size) for name, examples in files.items()}
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    return choose_vocabulary(
        counts["trained"], counts["held_out"],
        always=[end for end in ends if end is not None],
        sizes=[min(wanted, size) for wanted in job.vocabulary_sizes],
    )  # fmt: skip


def _answers(examples: ExampleFile) -> Any:
    return (_answer(example) for example in examples)


def _answer(example: Example) -> Any:
    return example.tokens[example.answer_from :]


def _say_asked(name: str, done: int, total: int) -> None:
    say(stage=f"asking the target ({name.replace('_', '-')} answers)", done=done, total=total)


if __name__ == "__main__":
    sys.exit(told(lambda: train_head(read_job(Path(sys.argv[1]), Eagle3Job))))

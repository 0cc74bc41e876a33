"""Train an EAGLE-3 head. Run as `python -m drafts.eagle3.train JOB.json`; it says its progress on stdout.

`--check JOB.json` says whether there can be such a head, and trains nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoConfig

from accounting.errors import ConfigError, ModelError
from drafts.child_words import say, told
from drafts.eagle3.export import Layout, export_head
from drafts.eagle3.initial import initial_head, random_head, shape_for
from drafts.eagle3.model import Eagle3Head
from drafts.eagle3.says import head_says
from drafts.eagle3.teacher import Eagle3Teacher, columns, layers_to_train
from drafts.eagle3.trainee import HeadTrainee, HeadTraining
from drafts.eagle3.vocabulary import DraftVocabulary, choose_vocabulary, count_tokens
from drafts.training.device import type_for
from drafts.training.examples import Example, ExampleFile
from drafts.training.finish import finish_draft, probe_type, texts_to_probe
from drafts.training.job import TrainingJob, open_examples, read_job, store_identity, train_and_judge
from drafts.training.objective import Objective
from drafts.training.parity import ParityRecord, recorded
from drafts.training.target import load_target, with_weights_in
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
    initial: Literal["target", "random"] = "target"
    """Weights to begin with: what fits of the target's, or random ones."""
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
    target = load_target(job.target, job.where, type_for(job.where))
    config = target.config
    layers = layers_of(job, config)
    vocabulary = _vocabulary(job, files, config)
    stores = {
        name: teacher_pass(
            lambda: Eagle3Teacher(target, layers),
            examples,
            columns(config.hidden_size, len(layers)),
            directory / f"teacher-{name}",
            identity=store_identity(job, examples.path, layers=layers),
            device=job.where,
            tell=partial(_say_asked, name),
        )
        for name, examples in files.items()
    }
    shape = shape_for(config, vocabulary=len(vocabulary.target_ids), features=len(layers))
    made = initial_head if job.initial == "target" else random_head
    head = made(target, shape, vocabulary, seed=job.seed).to(job.where)
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
    spent_s = sum(store.spent_s for store in stores.values())
    found = train_and_judge(job, trainee, files["trained"], files["held_out"], spent_s=spent_s)
    found |= {
        "draft_vocabulary": len(vocabulary.target_ids),
        "coverage": vocabulary.coverage(count_tokens(_answers(files["held_out"]), config.vocab_size)),
        "layers": list(layers),
    }
    folders = ((Layout.PLAIN, directory / "draft"), (Layout.SPECULATORS, directory / "draft-speculators"))
    for layout, folder in folders:
        export_head(head, vocabulary, config, layers, folder, layout=layout, verifier=job.verifier)
    record = _record(job, head, target, vocabulary, layers, files["held_out"])
    for _, folder in folders:
        finish_draft(folder, job, "eagle3", found, record)
    return found


def layers_of(job: Eagle3Job, config: Any) -> tuple[int, ...]:
    """The layers to look behind, rising, as vLLM joins them; a target that can have a head.

    Raises:
        ModelError: for another architecture.
        ConfigError: for a layer that the target has not, or that comes twice.
    """
    if config.model_type not in TARGETS:
        raise ModelError(
            f"No EAGLE-3 head can be trained here for {config.model_type}: {', '.join(TARGETS)} can have one."
        )
    depth, asked = config.num_hidden_layers, job.layers or layers_to_train(config.num_hidden_layers)
    if len(set(asked)) < len(asked) or any(not 0 <= layer <= depth for layer in asked):
        raise ConfigError(
            f"layers {list(asked)}: each once, from 0 to {depth}, which is how many {job.target} has."
        )
    return tuple(sorted(asked))


def check(job: Eagle3Job) -> None:
    """Whether there can be such a head, from the target's config.json alone.

    Raises:
        ConfigError, ModelError: if not.
    """
    layers_of(job, AutoConfig.from_pretrained(job.target))


def _record(
    job: Eagle3Job,
    head: Eagle3Head,
    target: Any,
    vocabulary: DraftVocabulary,
    layers: Sequence[int],
    held_out: ExampleFile,
) -> ParityRecord:
    """What the head says with its weights as they are exported."""
    probed = with_weights_in(target, probe_type(target))
    rounded = head.to(torch.bfloat16).float().eval()
    return recorded(
        head_says(rounded, probed, layers, job.k),
        torch.from_numpy(vocabulary.target_ids),
        texts_to_probe(held_out),
        dtype=str(probed.dtype).removeprefix("torch."),
    )


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
    _work = check if sys.argv[1] == "--check" else train_head
    sys.exit(told(lambda: _work(read_job(Path(sys.argv[-1]), Eagle3Job))))

"""What a training is told: files, size, time. The same for both trainers; each has its own section beside it."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from accounting.errors import ConfigError
from drafts.child_words import say
from drafts.training.device import device_for
from drafts.training.examples import ExampleFile
from drafts.training.leak import MAX_OVERLAP, overlaps, refuse_leaks
from drafts.training.loop import look_at, train
from drafts.training.plan import Trained, Trainee, TrainingPlan
from drafts.training.schedule import Schedule
from drafts.training.walk import Walked

Positive = Annotated[float, msgspec.Meta(gt=0)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
Job = TypeVar("Job", bound="TrainingJob")


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a training does not need and its manifest says: names as a user knows them, and where the answers came from."""

    name: str = ""
    target: str = ""
    licence: str = "not stated"
    command: str = ""
    data: dict[str, Any] = {}


class TrainingJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Paths are absolute. `directory` holds everything that a resumed training needs."""

    target: str
    trained: str
    held_out: str
    directory: str
    device: str | None = None
    """As torch names it; a GPU where there is one."""
    longest: AtLeastOne = 512
    """Tokens of an example."""
    epochs: Positive = 4.0
    budget_s: Positive | None = None
    """Seconds of asking the target and training together; None for no limit."""
    tokens_per_step: AtLeastOne = 2048
    learning_rate: Positive = 5e-4
    k: AtLeastOne = 5
    """Drafted tokens of the simulated acceptance."""
    seed: int = 1
    max_overlap: Positive = MAX_OVERLAP
    threads: AtLeastOne | None = None
    about: About = About()

    @property
    def where(self) -> str:
        """The device that is computed on."""
        return device_for(self.device)

    def plan(self, *, spent_s: float = 0.0) -> TrainingPlan:
        """For the loop, when so much of the budget is spent; a tenth of it is left to the loop whatever was spent."""
        left_s = None if self.budget_s is None else max(self.budget_s - spent_s, self.budget_s / 10)
        return TrainingPlan(
            schedule=Schedule(self.learning_rate),
            epochs=self.epochs,
            budget_s=left_s,
            tokens_per_step=self.tokens_per_step,
            k=self.k,
            seed=self.seed,
        )


def read_job(path: Path, kind: type[Job]) -> Job:
    """A job file.

    Raises:
        ConfigError: if it is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path} is no job of a training: {error}.") from error


def open_examples(job: TrainingJob) -> tuple[ExampleFile, ExampleFile]:
    """Training and held-out examples, one model's, none of the held-out prompts among the others.

    Raises:
        ConfigError: if they are of two models, or the split leaks.
    """
    trained = ExampleFile(Path(job.trained), longest=job.longest)
    # Simulated acceptance is exact for greedy answers: sampled ones judge nothing.
    held_out = ExampleFile(Path(job.held_out), longest=job.longest, greedy_only=True)
    if trained.model != held_out.model:
        raise ConfigError(
            f"{job.trained} holds answers of {trained.model!r}, {job.held_out} of {held_out.model!r}."
        )
    read = (held_out.trace(n) for n in range(len(held_out)))
    prompts = [(trace.id, trace.prompt_token_ids) for trace in read]
    of_trained = (trained.trace(n).prompt_token_ids for n in range(len(trained)))
    refuse_leaks(overlaps(prompts, of_trained), bound=job.max_overlap)
    return trained, held_out


def store_identity(job: TrainingJob, examples: Path, **more: Any) -> str:
    """What a store of the target's words depends on: the target's files, the examples, how they are cut."""
    target = Path(job.target)
    facts = {
        "target": {
            file.name: [file.stat().st_size, int(file.stat().st_mtime)] for file in sorted(target.iterdir())
        },
        "examples": _digest(examples),
        "longest": job.longest,
        **more,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def train_and_judge(
    job: TrainingJob, trainee: Trainee, examples: ExampleFile, held_out: ExampleFile, *, spent_s: float
) -> dict[str, Any]:
    """Train, or go on; how it went, and simulated acceptance on all held-out answers before and after.

    Args:
        spent_s: seconds of the budget that the target's pass over the answers took.
    """
    numbers = range(len(held_out))
    before = look_at(trainee, held_out, numbers, job.k, job.where)
    done = train(
        trainee, examples, held_out, job.plan(spent_s=spent_s),
        directory=Path(job.directory), clock=time.monotonic, device=job.where,
        tell=lambda stage, step, steps, known: say(stage=stage, done=step, total=steps, **known),
    )  # fmt: skip
    return outcome(done, before, look_at(trainee, held_out, numbers, job.k, job.where))


def outcome(trained: Trained, before: Walked, after: Walked) -> dict[str, Any]:
    """The result as JSON: how it went, and simulated acceptance before and after."""
    losses = np.asarray(trained.losses)
    return {
        "steps": trained.steps,
        "elapsed_s": trained.elapsed_s,
        "ended": trained.reason,
        "best_step": trained.best_step,
        "loss_first": float(losses[:20].mean()) if len(losses) else None,
        "loss_last": float(losses[-20:].mean()) if len(losses) else None,
        "looks": [
            {"step": look.step, "loss": look.loss, "acceptance_length": look.acceptance_length,
             "survival": list(look.survival), "elapsed_s": look.elapsed_s}
            for look in trained.looks
        ],
        "before": {"acceptance_length": before.acceptance_length, "survival": list(before.survival)},
        "after": {"acceptance_length": after.acceptance_length, "survival": list(after.survival)},
    }  # fmt: skip

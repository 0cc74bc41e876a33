"""The loop of both trainers: steps, a look at held-out answers now and then, the best kept, an end in time.

What is trained stands behind `Trainee`. The number of steps is fixed after a few of them have been timed, so that the
learning rate follows a plan that a resumed training continues; the clock ends it only where a machine becomes slower.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from drafts.training.batches import epoch_batches, padded
from drafts.training.examples import ExampleFile
from drafts.training.kept_state import read_state, restore, write_state
from drafts.training.plan import Look, Progress, Trained, Trainee, TrainingPlan
from drafts.training.walk import Walked, together, walk_matches

Clock = Callable[[], float]
#: Says how far a training is: stage, steps done, steps in all, what else is known.
Tell = Callable[[str, int, int, dict[str, Any]], None]
#: Steps that are timed before the number of all steps is fixed, after as many that warm caches.
_TIMED_STEPS = 8
#: So few are made untimed: half a training would be over before its end was known.
_FEW_STEPS = 8 * _TIMED_STEPS


def train(
    trainee: Trainee,
    examples: ExampleFile,
    held_out: ExampleFile,
    plan: TrainingPlan,
    *,
    directory: Path,
    clock: Clock,
    tell: Tell,
    device: str = "cpu",
) -> Trained:
    """Train to the plan's end, going on from what `directory` holds of the same training."""
    return _Loop(trainee, examples, held_out, plan, directory, clock, tell, device).run()


def look_at(trainee: Trainee, held_out: ExampleFile, numbers: Sequence[int], k: int, device: str) -> Walked:
    """Simulated acceptance over so many held-out answers, one at a time: memory stays that of one."""
    walked = []
    for number in numbers:
        example = held_out[number]
        (matches,) = trainee.matches(padded([number], [example], device), k)
        walked.append(walk_matches(matches, example.answer_from + 1))
    return together(walked)


class _Loop:
    def __init__(
        self,
        trainee: Trainee,
        examples: ExampleFile,
        held_out: ExampleFile,
        plan: TrainingPlan,
        directory: Path,
        clock: Clock,
        tell: Tell,
        device: str,
    ) -> None:
        self.trainee, self.examples, self.held_out, self.plan = trainee, examples, held_out, plan
        self.directory, self.clock, self.tell, self.device = directory, clock, tell, device
        self.optimiser = torch.optim.AdamW(
            trainee.module.parameters(),
            lr=plan.schedule.peak,
            betas=(0.9, 0.95),
            weight_decay=plan.weight_decay,
        )
        self.progress = Progress()
        self.looked_at = _spread(len(held_out), plan.held_out)
        self.began_s = clock()
        self.kept_s = clock()

    def run(self) -> Trained:
        self._resume()
        if not self.progress.ended:
            self.progress.ended = self._steps()
            self._keep("last")
        self._take_best()
        looks = tuple(Look(**{**look, "survival": tuple(look["survival"])}) for look in self.progress.looks)
        return Trained(
            self.progress.step,
            self.progress.elapsed_s,
            looks,
            tuple(self.progress.losses),
            self.progress.best_step,
            self.progress.ended,
        )

    def _resume(self) -> None:
        state = read_state(self.directory / "last")
        if state is None:
            return
        restore(state, self.trainee.module, self.optimiser)
        self.progress = Progress(**state.facts)
        self.began_s = self.clock() - self.progress.elapsed_s

    def _steps(self) -> str:
        """Step until something ends it; what ended it."""
        timed_from_s, first = 0.0, self.progress.step
        if self.progress.steps is None and (self.plan.budget_s is None or self._planned() <= _FEW_STEPS):
            self.progress.steps = max(self._planned(), self.progress.step + 1)
        for step, numbers in self._batches():
            if step < self.progress.step:
                continue
            if self.progress.steps is None:
                if step == first + _TIMED_STEPS:
                    timed_from_s = self.clock()
                elif step == first + 2 * _TIMED_STEPS:
                    self._fix_steps((self.clock() - timed_from_s) / _TIMED_STEPS)
            if self._is_at_end():
                return "all steps done"
            self.progress.losses.append(self._step(step, numbers))
            self.progress.step = step + 1
            if self._looks_now() and self._look():
                return f"no better for {self.plan.patience} looks"
            if self.clock() - self.kept_s >= self.plan.keep_every_s:
                self._keep("last")
            if self.plan.budget_s is not None and self._elapsed_s() > 1.1 * self.plan.budget_s:
                return "the budget is used up: the machine became slower than at the start"
        raise AssertionError("unreachable: epochs follow one another for ever")

    def _batches(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Steps and their examples, epoch after epoch: the number of steps ends them."""
        step = 0
        for epoch in itertools.count():
            for numbers in epoch_batches(
                self.examples.lengths, tokens=self.plan.tokens_per_step, seed=self.plan.seed, epoch=epoch
            ):
                yield step, numbers
                step += 1

    def _planned(self) -> int:
        """Steps of all epochs."""
        lengths, tokens = self.examples.lengths, self.plan.tokens_per_step
        return round(
            self.plan.epochs * len(epoch_batches(lengths, tokens=tokens, seed=self.plan.seed, epoch=0))
        )

    def _fix_steps(self, step_s: float) -> None:
        """All of them, or as many as the budget leaves time for beside the looks."""
        began_s = self.clock()
        self._look()
        looks_s = self.plan.looks * (self.clock() - began_s)
        assert self.plan.budget_s is not None
        left_s = max(0.0, 0.95 * self.plan.budget_s - self._elapsed_s() - looks_s)
        steps = min(self._planned(), self.progress.step + int(left_s / max(step_s, 1e-6)))
        self.progress.steps = max(steps, self.progress.step + 1)

    def _is_at_end(self) -> bool:
        return self.progress.steps is not None and self.progress.step >= self.progress.steps

    def _done(self) -> float:
        """The share of the training; before the number of steps is known it is at its beginning."""
        return self.progress.step / self.progress.steps if self.progress.steps else 0.0

    def _step(self, step: int, numbers: NDArray[np.int64]) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.schedule.at(self._done())
        batch = padded(numbers.tolist(), [self.examples[int(n)] for n in numbers], self.device)
        generator = torch.Generator(self.device).manual_seed(self.plan.seed * 1_000_003 + step)
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.trainee.loss(batch, done=self._done(), generator=generator)
        loss.backward()
        nn.utils.clip_grad_norm_(self.trainee.module.parameters(), self.plan.clip)
        self.optimiser.step()
        self.tell("training", step + 1, self.progress.steps or 0, {"loss": float(loss.detach())})
        return float(loss.detach())

    def _looks_now(self) -> bool:
        steps = self.progress.steps
        if steps is None:
            return False
        every = max(1, steps // self.plan.looks)
        return self.progress.step % every == 0 or self.progress.step == steps

    def _look(self) -> bool:
        """Look at held-out answers and keep what is best; whether patience is at its end."""
        progress = self.progress
        walked = look_at(self.trainee, self.held_out, self.looked_at, self.plan.k, self.device)
        recent = progress.losses[-50:]
        look = Look(
            progress.step,
            sum(recent) / len(recent),
            walked.acceptance_length,
            walked.survival,
            self._elapsed_s(),
        )
        progress.looks.append(asdict(look))
        if look.acceptance_length > progress.best:
            progress.best, progress.best_step = look.acceptance_length, progress.step
            self._keep("best")
        self._keep("last")
        self.tell("look", progress.step, progress.steps or 0, {"acceptance_length": look.acceptance_length})
        since = [known["step"] for known in progress.looks if known["step"] > progress.best_step]
        return len(since) >= self.plan.patience

    def _keep(self, name: str) -> None:
        self.progress.elapsed_s = self._elapsed_s()
        write_state(self.directory / name, self.trainee.module, self.optimiser, asdict(self.progress))
        self.kept_s = self.clock()

    def _take_best(self) -> None:
        state = read_state(self.directory / "best")
        if state is not None:
            restore(state, self.trainee.module, self.optimiser)

    def _elapsed_s(self) -> float:
        return self.clock() - self.began_s


def _spread(number: int, wanted: int) -> list[int]:
    """So many numbers below `number`, evenly spread."""
    return [int(i) for i in np.linspace(0, number - 1, min(number, wanted))]

"""A real training of a tiny draft: it learns, keeps its best, ends in time, and goes on after a kill as if there was none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="comes with the engine")
pytest.importorskip("transformers", reason="comes with the engine")

from drafts.distil.initial import cut_layers  # noqa: E402
from drafts.distil.teacher import DistilTeacher, columns  # noqa: E402
from drafts.distil.trainee import DistilTrainee, DistilTraining  # noqa: E402
from drafts.training.examples import ExampleFile  # noqa: E402
from drafts.training.loop import look_at, train  # noqa: E402
from drafts.training.plan import TrainingPlan  # noqa: E402
from drafts.training.schedule import Schedule  # noqa: E402
from drafts.training.teacher_store import TeacherStore, alone  # noqa: E402
from tests.drafts.tiny_llama import tiny_llama, write_answers  # noqa: E402

PLAN = TrainingPlan(
    schedule=Schedule(3e-3), epochs=12, budget_s=None, tokens_per_step=240, looks=6, held_out=16, k=3,
    patience=99,
)  # fmt: skip


class KilledError(Exception):
    """What a kill is to this process."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ExampleFile, ExampleFile, TeacherStore]:
    folder = tmp_path_factory.mktemp("answers")
    target = tiny_llama()
    trained = ExampleFile(write_answers(folder / "train.jsonl", target, count=60), longest=64)
    held_out = ExampleFile(write_answers(folder / "heldout.jsonl", target, count=16, seed=2), longest=64)
    store = TeacherStore(folder / "store", trained, columns(16), "tiny")
    teacher = DistilTeacher(target, 16)
    for number, example in enumerate(trained):
        store.put(number, teacher.said_of(alone(example, "cpu")))
    store.flush()
    return target, trained, held_out, store


def trainee(data: Any) -> DistilTrainee:
    torch.manual_seed(9)
    return DistilTrainee(cut_layers(data[0], [0, 3]), trained=data[3], how=DistilTraining())


def run(data: Any, directory: Path, plan: TrainingPlan = PLAN, *, kill_at: int | None = None) -> Any:
    _, trained, held_out, _ = data

    def tell(stage: str, step: int, _steps: int, _known: dict[str, Any]) -> None:
        if stage == "training" and step == kill_at:
            raise KilledError

    ticks = iter(np.arange(0.0, 1e6, 0.01))
    draft = trainee(data)
    done = train(
        draft, trained, held_out, plan, directory=directory, clock=lambda: float(next(ticks)), tell=tell
    )
    return draft, done


def test_it_learns_and_the_best_is_kept(data: Any, tmp_path: Path) -> None:
    numbers = list(range(16))
    before = look_at(trainee(data), data[2], numbers, 3, "cpu").acceptance_length
    draft, done = run(data, tmp_path / "t")
    after = look_at(draft, data[2], numbers, 3, "cpu").acceptance_length
    assert after > before + 0.05
    assert after == pytest.approx(max(look.acceptance_length for look in done.looks))
    assert np.mean(done.losses[-5:]) < np.mean(done.losses[:5])
    assert done.reason == "all steps done"
    assert len(done.losses) == done.steps


@pytest.mark.parametrize("kill_at", [5, 23, 40])
def test_killed_it_goes_on_to_the_same_losses(data: Any, tmp_path: Path, kill_at: int) -> None:
    _, whole = run(data, tmp_path / "whole")
    often = replace(PLAN, keep_every_s=0.05)  # the clock of these tests goes 0.01 s a look
    with pytest.raises(KilledError):
        run(data, tmp_path / "cut", often, kill_at=kill_at)
    _, resumed = run(data, tmp_path / "cut", often)
    assert resumed.steps == whole.steps
    assert resumed.losses == pytest.approx(whole.losses, rel=1e-3)


def test_patience_and_budget_end_it(data: Any, tmp_path: Path) -> None:
    still = replace(PLAN, schedule=Schedule(1e-9), patience=2)
    _, done = run(data, tmp_path / "still", still)
    assert done.reason == "no better for 2 looks"
    assert len(done.looks) == 3
    run_steps = done.steps
    short = replace(PLAN, budget_s=3.0, epochs=1000)
    _, done = run(data, tmp_path / "short", short)
    assert done.elapsed_s < 3.5
    again = run(data, tmp_path / "still", still)[1]
    assert (again.steps, again.reason) == (run_steps, "no better for 2 looks"), "what has ended stays ended"
    assert done.reason == "all steps done"

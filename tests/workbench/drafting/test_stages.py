"""Stages of a directory: done once, counted in time over kills, and never with other options than they were begun with."""

from pathlib import Path

import pytest

from accounting.errors import RunError
from workbench.drafting.stages import Stages


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_stage_is_done_once_and_its_time_is_kept(tmp_path: Path) -> None:
    clock = Clock()

    def work() -> dict[str, int]:
        clock.now_s += 12.0
        return {"found": 1}

    stages = Stages(tmp_path, clock=clock)
    assert stages.once("asking", work) == {"found": 1}
    assert stages.once("asking", work) == {"found": 1}
    again = Stages(tmp_path, clock=clock)
    assert again.is_done("asking")
    assert again.once("asking", work) == {"found": 1}
    assert again.spent_s("asking") == 12.0


def test_a_kill_leaves_the_time_that_was_spent(tmp_path: Path) -> None:
    clock = Clock()
    stages = Stages(tmp_path, clock=clock)

    def killed() -> dict[str, int]:
        clock.now_s += 25.0
        stages.going_on()
        clock.now_s += 5.0
        stages.going_on()  # too soon to write again
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.once("asking", killed)
    again = Stages(tmp_path, clock=clock)
    assert not again.is_done("asking")
    assert again.spent_s("asking") == 25.0

    def work() -> dict[str, int]:
        clock.now_s += 10.0
        return {}

    again.once("asking", work)
    assert Stages(tmp_path, clock=clock).spent_s("asking") == 35.0


def test_a_result_that_does_not_count_is_asked_for_again(tmp_path: Path) -> None:
    stages = Stages(tmp_path, clock=Clock())
    assert stages.once("check", lambda: {"passed": False}, counts=lambda found: bool(found["passed"])) == {
        "passed": False
    }
    assert not stages.is_done("check")
    assert stages.once("check", lambda: {"passed": True}, counts=lambda found: bool(found["passed"])) == {
        "passed": True
    }
    assert stages.is_done("check")


def test_other_options_are_refused_by_name(tmp_path: Path) -> None:
    Stages(tmp_path, clock=Clock()).settle("asking", {"seed": 1, "target": "big"})
    again = Stages(tmp_path, clock=Clock())
    again.settle("asking", {"seed": 1, "target": "big"})
    with pytest.raises(RunError, match=r"begun otherwise \(asking\): seed 1, not 2"):
        again.settle("asking", {"seed": 2, "target": "big"})
    again.unsettle("asking")
    again.settle("asking", {"seed": 2, "target": "big"})

"""A client that others keep taking the core from moves to another one, seldom and only then."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from loadtest.crowded_core import CROWDED, LOOK_EVERY_S, CrowdedCore, _mover


class Machine:
    """A clock, a count of preemptions and the moves that were made."""

    def __init__(self) -> None:
        self.now_s, self.preempted, self.moved, self.may_move = 100.0, 0, 0, True

    def move(self) -> bool:
        self.moved += self.may_move
        return self.may_move

    def core(self) -> CrowdedCore:
        return CrowdedCore(clock=lambda: self.now_s, preemptions=lambda: self.preempted, move=self.move)

    def passes(self, *, preempted: int = 0, looks: float = 1.1) -> None:
        self.now_s += looks * LOOK_EVERY_S
        self.preempted += preempted


def test_it_moves_where_it_is_preempted_again_and_again() -> None:
    machine = Machine()
    core = machine.core()
    machine.passes(preempted=CROWDED)
    core.behind()
    assert (machine.moved, core.moves) == (1, 1)


def test_being_behind_by_its_own_work_moves_nothing() -> None:
    machine = Machine()
    core = machine.core()
    for _ in range(5):
        machine.passes(preempted=CROWDED - 1)
        core.behind()
    assert machine.moved == 0


def test_it_looks_no_more_often_than_it_should() -> None:
    machine = Machine()
    core = machine.core()
    for _ in range(10):
        machine.passes(preempted=CROWDED, looks=0.15)
        core.behind()
    assert machine.moved == 1, "ten calls in one and a half looks"


def test_a_move_that_could_not_be_made_is_not_counted() -> None:
    machine = Machine()
    machine.may_move = False
    core = machine.core()
    machine.passes(preempted=CROWDED)
    core.behind()
    assert core.moves == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="moves on Linux only")
def test_a_real_move_keeps_the_cores_that_were_allowed() -> None:
    """In a thread of its own: affinity is the calling thread's."""
    found: list[object] = []

    def run() -> None:
        before = os.sched_getaffinity(0)
        found.extend([_mover()(), before, os.sched_getaffinity(0)])
        os.sched_setaffinity(0, {min(before)})
        found.extend([_mover()(), os.sched_getaffinity(0), {min(before)}])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    moved, before, after, moved_when_pinned, pinned, one = found
    assert moved == (len(before) > 1)  # type: ignore[arg-type]
    assert after == before
    assert not moved_when_pinned
    assert pinned == one, "a process that was pinned stays pinned"

"""The real-time class is taken where it is allowed, given back, and not passed on; where it is not allowed nothing happens."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from loadtest.realtime import running_at_once

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="scheduling classes are Linux's")

SAY = (
    "import os, subprocess, sys, threading; {before}\n"
    "from loadtest.realtime import running_at_once\n"
    "policies = []\n"
    "look = lambda: policies.append(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK)\n"
    "look()\n"
    "with running_at_once() as allowed:\n"
    "    look()\n"
    "    thread = threading.Thread(target=look); thread.start(); thread.join()\n"
    "    child = [sys.executable, '-c', 'import os; print(os.sched_getscheduler(0))']\n"
    "    policies.append(int(subprocess.run(child, capture_output=True, text=True).stdout))\n"
    "look()\n"
    "print(allowed, *policies)\n"
)


def said(before: str = "") -> list[str]:
    argv = [sys.executable, "-c", SAY.format(before=before)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


def test_it_is_taken_given_back_and_not_passed_on() -> None:
    allowed, *policies = said()
    ordinary, within = str(os.SCHED_OTHER), str(os.SCHED_RR if allowed == "True" else os.SCHED_OTHER)
    assert policies == [ordinary, within, ordinary, ordinary, ordinary]
    assert allowed == "True" or os.getuid() != 0 or os.environ.get("CI") is None


def test_who_may_by_a_limit_alone_gets_back_to_the_ordinary_class_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """sched(7): who is not root may not take the reset away that it has once set."""
    policies = [os.SCHED_OTHER]

    def set_policy(_pid: int, policy: int, _parameter: object) -> None:
        if policies[-1] & os.SCHED_RESET_ON_FORK and not policy & os.SCHED_RESET_ON_FORK:
            raise PermissionError
        policies.append(policy)

    monkeypatch.setattr(os, "sched_setscheduler", set_policy)
    monkeypatch.setattr(os, "sched_getscheduler", lambda _pid: policies[-1])
    with running_at_once() as allowed:
        assert allowed
    classes = [policy & ~os.SCHED_RESET_ON_FORK for policy in policies]
    assert classes == [os.SCHED_OTHER, os.SCHED_RR, os.SCHED_OTHER]


def test_where_it_is_not_allowed_nothing_happens() -> None:
    ordinary = str(os.SCHED_OTHER)
    drop = (
        "import resource; resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0)); sys.dont_write_bytecode = True"
    )
    if os.getuid() == 0:
        # As nobody, who must still be able to read what is imported.
        code = (
            SAY.format(before="import loadtest.realtime; os.setuid(65534)")
            .replace("child = [sys.executable, '-c', 'import os; print(os.sched_getscheduler(0))']\n", "")
            .replace(
                "    policies.append(int(subprocess.run(child, capture_output=True, text=True).stdout))\n", ""
            )
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["False", *[ordinary] * 4]
        return
    assert said(drop) == ["False", *[ordinary] * 5]

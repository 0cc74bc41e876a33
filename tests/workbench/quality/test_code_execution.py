"""Every program here is one that a model could write. What must hold is on the machine, not in the verdict alone."""

import os
import platform
import socket
import time
from pathlib import Path

import psutil
import pytest

from accounting.errors import MachineError
from workbench.quality import code_execution
from workbench.quality.code_execution import CodeLimits, check_can_close_in, run_program
from workbench.quality.sets import load_set

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter is for x86-64")

SHORT = CodeLimits(wall_s=3.0, cpu_s=2, memory_bytes=1 << 29)


def test_a_right_program_passes_and_may_import() -> None:
    check_can_close_in()
    verdict = run_program("import math, re, hashlib, collections, itertools\nassert math.gcd(12, 18) == 6")
    assert (verdict.passed, verdict.why) == (True, "")


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("assert 1 == 2", "AssertionError"),
        ("def f(:", "SyntaxError"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("import os; os._exit(0)", "without a verdict"),
        ("x = 'a' * (1 << 33)", "MemoryError"),
        ("def f(): f()\nf()", "RecursionError"),
        ("import os; os.system('true') and 1/0", "ZeroDivisionError"),
        ("import os; os.fork()", "PermissionError"),
        ("import subprocess; subprocess.run(['true'])", "PermissionError"),
        ("import os; os.execv('/bin/true', ['true'])", "PermissionError"),
        ("import socket; socket.socket()", "PermissionError"),
        ("import threading; threading.Thread(target=int).start()", "RuntimeError"),
        ("open('here.txt', 'w')", "PermissionError"),
        ("import os; os.kill(-1, 9)", "PermissionError"),
        ("import resource; resource.setrlimit(resource.RLIMIT_CPU, (99, 99))", "Error"),
        ("import sys\nfor fd in range(3, 32):\n  try:\n    import os; os.write(fd, b'x' * 65536)\n  except OSError: pass", "without"),
    ],
)  # fmt: skip
def test_a_wrong_or_malicious_program_fails_with_its_reason(program: str, why: str) -> None:
    verdict = run_program(program, SHORT)
    assert not verdict.passed
    assert why in verdict.why


def test_an_endless_program_is_ended_with_all_it_holds() -> None:
    for program in (
        "while True: pass",
        "import time\nwhile True: time.sleep(1)",
        "while True: print('x' * 10000)",
    ):
        began = time.monotonic()
        verdict = run_program(program, SHORT)
        assert not verdict.passed
        assert "not done within" in verdict.why
        assert time.monotonic() - began < 6
    assert not [c for c in psutil.Process().children(recursive=True) if "code_child" in " ".join(c.cmdline())]


def test_a_fork_bomb_makes_no_process() -> None:
    bomb = "import os\nwhile True:\n  try: os.fork()\n  except PermissionError: raise"
    before = len(psutil.pids())
    assert not run_program(bomb, SHORT).passed
    assert len(psutil.pids()) - before < 20


def test_files_stay_as_they_were(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    program = (
        f"import os, shutil\np = {str(precious)!r}\n"
        "for harm in (lambda: os.remove(p), lambda: open(p, 'a').write('x'), lambda: os.truncate(p, 0),\n"
        "    lambda: os.rename(p, p + '2'), lambda: os.chmod(p, 0), lambda: shutil.rmtree(os.path.dirname(p)),\n"
        "    lambda: os.open(p, os.O_RDWR), lambda: os.open(p, os.O_RDONLY | os.O_TRUNC),\n"
        "    lambda: os.link(p, p + '3'), lambda: os.symlink(p, p + '4'), lambda: os.mkdir(p + '5')):\n"
        "  try: harm()\n"
        "  except OSError: continue\n"
        "  raise SystemExit('harm was done')\n"
    )
    verdict = run_program(program, SHORT)
    assert verdict.passed, verdict.why
    assert precious.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [precious]


def test_no_connection_leaves_the_child() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        run_program(f"import socket; socket.create_connection(('127.0.0.1', {port}))", SHORT)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_it_sees_none_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    assert "SOME_API_KEY" in os.environ
    assert run_program("import os; assert 'SOME_API_KEY' not in os.environ", SHORT).passed


def test_where_code_cannot_be_closed_in_none_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_execution.platform, "machine", lambda: "aarch64")
    with pytest.raises(MachineError, match="aarch64"):
        check_can_close_in()


def test_the_sets_own_solutions_pass_their_tests() -> None:
    """Every tenth; all 164 pass, each within a tenth of a second."""
    for item in load_set("humaneval", base_dir=Path()).items[::10]:
        assert item.code_test is not None
        program = (
            f"{item.prompt}{item.reference}\n\n{item.code_test.code}\n\ncheck({item.code_test.entry_point})\n"
        )
        verdict = run_program(program)
        assert verdict.passed, (item.item_id, verdict.why)

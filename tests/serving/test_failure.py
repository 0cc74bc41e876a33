import signal
from pathlib import Path

import pytest

from serving.failure import LAST_LINES, describe_exit, find_cause, last_lines, read_log
from serving.startup_stage import latest_stage

PORT_TAKEN = """\
(APIServer pid=3241) INFO 11-22 13:23:53 [api_utils.py:286] non-default args: {'port': 8111}
(APIServer pid=3241) Traceback (most recent call last):
(APIServer pid=3241)   File "x.py", line 3, in <module>
(APIServer pid=3241) OSError: [Errno 98] Address already in use
"""
ENGINE_FAILED = """\
(EngineCore pid=7) ERROR 11-22 13:24:20 [core.py:133] ValueError: Draft model vocabulary size 32000 differs
(APIServer pid=3) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
"""
NOT_VALID = """\
(APIServer pid=9) pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig
(APIServer pid=9)   Value error, The model type `x` is not supported [type=value_error, input_value=...]
(APIServer pid=9)     For further information visit https://errors.pydantic.dev
"""


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        (PORT_TAKEN, "OSError: [Errno 98] Address already in use"),
        (ENGINE_FAILED, "ValueError: Draft model vocabulary size 32000 differs"),
        ("api_server.py: error: unrecognized arguments: --frob", "unrecognized arguments: --frob"),
        ("\x1b[31m(X pid=1) ModuleNotFoundError: No module named 'numba'\x1b[0m", "No module named 'numba'"),
    ],
)
def test_the_cause_is_the_first_cause_not_its_consequences(log: str, cause: str, tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_text(log)
    found = find_cause(read_log(path))
    assert found is not None
    assert found.endswith(cause)


def test_a_validation_error_brings_its_explanation() -> None:
    found = find_cause(NOT_VALID.splitlines())
    assert found is not None
    assert "is not supported" in found


def test_a_log_without_a_cause_has_none() -> None:
    assert find_cause(["INFO all is well", ""]) is None
    assert read_log(Path("/does/not/exist")) == []


def test_the_user_sees_the_last_thirty_lines() -> None:
    shown = last_lines([str(i) for i in range(100)]).splitlines()
    assert shown == [str(i) for i in range(100 - LAST_LINES, 100)]


def test_exits_are_said_in_words() -> None:
    assert describe_exit(-signal.SIGKILL).startswith("was killed by SIGKILL")
    assert describe_exit(3) == "exited with status 3"


def test_stages_are_read_from_the_log() -> None:
    assert latest_stage([]) == "importing the engine"
    assert (
        latest_stage(["x Starting to load model y", "Loading weights took 1.66 seconds"])
        == "preparing the KV cache"
    )


def test_a_warning_that_quotes_an_error_is_not_the_cause() -> None:
    """Captured from a real start: the first line stands in every log of a box with a low limit of files."""
    lines = [
        "(APIServer pid=1) WARNING 11-24 22:44:09 [system_utils.py:255] Found ulimit of 20000. This can cause fd "
        "limit errors like `OSError: [Errno 24] Too many open files`. Consider increasing with ulimit -n",
        "(Worker pid=2) ERROR 11-24 22:44:25 [multiproc_executor.py:1063] NotImplementedError: FP8 KV cache "
        "requires head_size divisible by 32 on CPU.",
        "RuntimeError: Engine core initialization failed. See root cause above.",
    ]
    assert find_cause(lines) == "NotImplementedError: FP8 KV cache requires head_size divisible by 32 on CPU."

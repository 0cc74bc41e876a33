import errno
import signal
from collections.abc import Iterator

import pytest
import typer

from accounting.errors import ConfigError, Interrupted, KilotokenError, MachineError
from workbench.cli import main


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """The boundary takes SIGTERM and SIGHUP for itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("the key 'x' is wrong.", hint="Try y."), 2, ["Error: the key 'x' is wrong. Try y."]),
        (MachineError("[bold]brackets[/bold] stay"), 3, ["[bold]brackets[/bold] stay"]),
        (KilotokenError("cause", details="line 1\nline [2]"), 1, ["Error: cause\nline 1\nline [2]"]),
        (Interrupted("stopped."), 130, ["Stopped: stopped."]),
        (KeyboardInterrupt(), 130, ["Stopped:"]),
        (typer.Abort(), 130, ["Stopped:"]),
        (typer.BadParameter("no such thing"), 2, ["no such thing", "kilotoken --help"]),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/y"),
            3,
            ["No space left on device (/x/y)", "--resume"],
        ),
        (typer.Exit(3), 3, []),
    ],
)
def test_every_ending_is_one_paragraph_and_its_exit_code(
    error: BaseException, code: int, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*, standalone_mode: bool) -> None:
        assert not standalone_mode
        raise error

    with pytest.raises(SystemExit) as ending:
        main(command)
    assert ending.value.code == code
    said = capsys.readouterr().err
    for word in words:
        assert word in said


def test_a_bug_is_not_dressed_up_as_a_users_mistake() -> None:
    def command(*, standalone_mode: bool) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main(command)

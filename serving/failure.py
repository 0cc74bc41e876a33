"""Why did the server die? The cause first, from its log, then the log's last lines."""

from __future__ import annotations

import re
import signal
from pathlib import Path

LAST_LINES = 30

#: Lines that state a cause, best first. vLLM wraps the true cause in later, emptier errors.
_CAUSES = (
    re.compile(r"((?:torch\.)?OutOfMemoryError: .*|MemoryError.*|.*Cannot allocate memory.*)"),
    re.compile(r"(ModuleNotFoundError: .*|ImportError: .*)"),
    re.compile(r"(OSError: .*|FileNotFoundError: .*|PermissionError: .*)"),
    re.compile(r"(api_server\.py: error: .*|error: unrecognized arguments.*|error: argument .*)"),
    re.compile(r"((?:pydantic_core\._pydantic_core\.)?ValidationError: .*)"),
    re.compile(r"((?:ValueError|TypeError|KeyError|AttributeError|AssertionError|NotImplementedError): .+)"),
    re.compile(r"(RuntimeError: (?!Engine core initialization failed).+)"),
    re.compile(r"(RuntimeError: .+|\w+Error: .+)"),
)
_PREFIX = re.compile(r"^\(\w+ pid=\d+\)\s*(?:[A-Z]+ [\d: -]+ \[[^\]]+\]\s*)?")
#: Lines that only inform: vLLM warns at every start of errors that could happen, in the words of the errors.
_HARMLESS = re.compile(r"^(?:\(\w+ pid=\d+\)\s*)?(?:DEBUG|INFO|WARNING) \d")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def read_log(path: Path) -> list[str]:
    """The log's lines without colour codes; empty if there is no log."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [_ANSI.sub("", line) for line in text.splitlines()]


def find_cause(lines: list[str]) -> str | None:
    """The line that best explains a failure, without vLLM's prefix; None if no line does.

    The first match of the best pattern wins: later errors of the same kind are consequences.
    """
    plain = [_PREFIX.sub("", line).strip() for line in lines if not _HARMLESS.match(line)]
    for pattern in _CAUSES:
        for number, line in enumerate(plain):
            if match := pattern.search(line):
                return _with_explanation(match.group(1), plain[number + 1 : number + 3])
    return None


def _with_explanation(cause: str, following: list[str]) -> str:
    """Pydantic puts the reason on the lines after `ValidationError: 1 validation error for ...`."""
    if "validation error" not in cause:
        return cause
    return " ".join([cause, *(line for line in following if line and "further information" not in line)])


def last_lines(lines: list[str]) -> str:
    """The log's last lines, as the user reads them below the cause."""
    return "\n".join(lines[-LAST_LINES:])


def describe_exit(code: int | None) -> str:
    """An exit status in words: `exited with status 1`, `was killed by SIGKILL`."""
    if code is None:
        return "is still running"
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        hint = " (by hand, or by the kernel when memory ran out)" if -code == signal.SIGKILL else ""
        return f"was killed by {name}{hint}"
    return f"exited with status {code}"

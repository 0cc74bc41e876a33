"""What `kilotoken quality` does: measure what is not measured yet, keep it, compare it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError, ServerError
from workbench.quality.against import check_same_items, paired
from workbench.quality.code_execution import check_can_close_in
from workbench.quality.evaluation import evaluate_items
from workbench.quality.items import QualityItem, QualitySet, chosen_items
from workbench.quality.journal import Journal, opened
from workbench.quality.result import FORMAT, summarised
from workbench.quality.store import journal_path, read_result, result_path, write_result
from workbench.quality.subjects import Subject

Document = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class QualityRequest:
    """What is to be measured, and how. `root` is the cache directory; `anew` asks items again that are known."""

    quality_set: QualitySet
    n: int
    seed: int
    concurrency: int
    root: Path
    allow_code_execution: bool = False
    anew: bool = False


def measure(
    subjects: Sequence[Subject], request: QualityRequest, *, against: Path | None, say: Say
) -> list[Document]:
    """A result per subject; each but the first, or each with `against`, also compared with the one before it all.

    Raises:
        ConfigError: if code would have to run and may not, or `against` is of other items.
        ServerError: if a server dies, or answers no item at all.
    """
    items = chosen_items(request.quality_set, request.n, request.seed)
    _check_code(request)
    base = read_result(against) if against is not None else None
    if base is not None:
        check_same_items(base, _plan_of(request, items))
    documents: list[Document] = []
    for subject in subjects:
        document = _measured(subject, request, items, say)
        if base is not None:
            document["against"] = paired(base, document)
        documents.append(document)
        base = base or document
    return documents


def _check_code(request: QualityRequest) -> None:
    if not request.quality_set.runs_code:
        return
    if not request.allow_code_execution:
        raise ConfigError(
            f"the set {request.quality_set.name} is judged by executing code that the model wrote.",
            hint="Say --allow-code-execution if you want that: it runs without network, processes, signals or "
            "writing, with limits of time and memory.",
        )
    check_can_close_in()


def _plan_of(request: QualityRequest, items: Sequence[QualityItem]) -> Document:
    """As much of a result as is known before anything is asked."""
    return {
        "set": request.quality_set.name,
        "set_key": request.quality_set.key,
        "n": request.n,
        "seed": request.seed,
        "rows": [{"item": item.item_id} for item in items],
    }


def _measured(subject: Subject, request: QualityRequest, items: Sequence[QualityItem], say: Say) -> Document:
    fingerprint = subject.numerics.fingerprint
    path = result_path(request.root, fingerprint, request.quality_set.key, n=request.n, seed=request.seed)
    if path.exists() and not request.anew:
        document = read_result(path)
        say(f"{subject.label}: measured already, {document['measured_at']} (--again measures anew)")
        return document | {"label": subject.label, "file": str(path)}
    header = {"format": FORMAT, **_plan_of(request, items), "fingerprint": fingerprint}
    with opened(journal_path(path), header, anew=request.anew) as journal:
        facts = _ask(subject, request, items, journal, say)
        summary = summarised(items, journal.outcomes)
        if summary["failures"] == len(items):
            journal_path(path).unlink()
            raise ServerError(
                f"{subject.label}: not one of {len(items)} items was answered: {next(iter(summary['failure_reasons']))}.",
                hint="A score of a server that cannot answer the set would say nothing; none is kept.",
            )
        document = {
            "format": FORMAT,
            "label": subject.label,
            "fingerprint": fingerprint,
            "numerics": dict(subject.numerics.facts),
            **_plan_of(request, items),
            "source": request.quality_set.source,
            **facts,
            **summary,
        }
        write_result(path, document)
    return document | {"file": str(path)}


def _ask(
    subject: Subject, request: QualityRequest, items: Sequence[QualityItem], journal: Journal, say: Say
) -> Document:
    """Put what is left to the server; facts of this measurement."""
    began = time.monotonic()
    known = len(journal.outcomes)
    log = result_path(request.root, subject.numerics.fingerprint, "server", n=request.n, seed=request.seed)
    with subject.server(
        log_path=log.with_suffix(".log"), report=lambda text: say(f"{subject.label}: {text}")
    ) as server:
        ready = time.monotonic()
        evaluate_items(
            server,
            items,
            journal,
            concurrency=request.concurrency,
            report=lambda done, total: say(f"{subject.label}: {done} of {total} items"),
        )
        return {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "engine_version": server.version,
            "served_model": server.model_name,
            "startup_s": ready - began,
            "asking_s": time.monotonic() - ready,
            "items_from_before": known,
        }

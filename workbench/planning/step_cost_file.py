"""step_cost.json: what a step takes on one machine, the windows that it was fitted to, and what it holds for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from accounting.errors import MachineError, RunError
from accounting.planning.drafting_yield import OFF
from accounting.planning.step_cost import StepCost, StepWork, fit_step_cost
from workbench.planning.measured_steps import MeasuredStep
from workbench.run_directory import write_json

FILE = "step_cost.json"
FORMAT = "kilotoken-step-cost/1"
Document = dict[str, Any]
T = TypeVar("T")


def fitted_document(
    steps: Sequence[MeasuredStep], left_out: Iterable[Document], about: Mapping[str, Any]
) -> Document:
    """Fit, and put everything together.

    Args:
        left_out: windows that have no step that could be used, with the reason.
        about: what it holds for.

    Raises:
        MachineError: if there are too few windows.
    """
    omitted = list(left_out)
    if not any(step.work.method == OFF for step in steps):
        raise MachineError(
            "Step costs cannot be told: no window without drafting was valid, and every drafter is held against those.",
            hint="`kilotoken profile --again` measures anew; nothing else should run meanwhile.",
        )
    try:
        cost = fit_step_cost([(step.work, step.seconds) for step in steps])
    except ValueError as error:
        because = (
            f" Left out: {omitted[0]['arm']}, {omitted[0]['workload']}: {omitted[0]['reason']}."
            if omitted
            else ""
        )
        raise MachineError(
            f"Step costs cannot be told: {error}.{because}",
            hint="`kilotoken profile --again` measures anew, more k, streams or workloads give more windows; nothing else "
            "should run meanwhile.",
        ) from error
    return {
        "format": FORMAT, **about, "cost": json.loads(json.dumps(asdict(cost))), "windows": [_window(step, cost) for step in steps],
        "left_out": omitted,
    }  # fmt: skip


def _window(step: MeasuredStep, cost: StepCost) -> Document:
    predicted = cost.predicted(step.work)
    return {
        "arm": step.arm, "workload": step.workload, "streams": step.streams, "work": asdict(step.work),
        "seconds": step.seconds, "fitted_s": predicted.seconds, "low_s": predicted.low, "high_s": predicted.high,
        "error": predicted.seconds / step.seconds - 1.0,
    }  # fmt: skip


def write_step_cost(directory: Path, document: Document) -> None:
    """Keep it, whole or not at all."""
    write_json(directory / FILE, document)


def read_step_cost(directory: Path) -> Document:
    """The document of a profile.

    Raises:
        RunError: if there is none, or it is of another format.
    """
    try:
        document = json.loads((directory / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{directory / FILE} cannot be read: {error}", hint="`kilotoken profile CONFIG` makes it."
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise RunError(
            f"{directory / FILE} is no {FORMAT}.", hint="`kilotoken profile CONFIG` makes it anew."
        )
    return document


def cost_of(document: Mapping[str, Any]) -> StepCost:
    """What was fitted.

    Raises:
        RunError: if the document is damaged.
    """
    return _converted(document, "cost", StepCost)


def work_of(window: Mapping[str, Any]) -> StepWork:
    """The mean step of a window."""
    return _converted(window, "work", StepWork)


def _converted(document: Mapping[str, Any], key: str, kind: type[T]) -> T:
    try:
        return msgspec.convert(document[key], kind)
    except (KeyError, msgspec.ValidationError) as error:
        raise RunError(
            f"{FILE} is damaged ({key}): {error}", hint="`kilotoken profile --again` makes it anew."
        ) from error

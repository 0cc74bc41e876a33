"""The mean step of a measured window and how long it took, from a cell's measures: what step costs are fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounting.planning.drafting_yield import OFF
from accounting.planning.step_cost import StepWork
from serving.config import ServerConfig
from serving.speculation import (
    BlockDraftSpeculation,
    CustomClassSpeculation,
    DraftModelSpeculation,
    EagleSpeculation,
    MedusaSpeculation,
    MtpSpeculation,
    NgramSpeculation,
    Speculating,
    SuffixSpeculation,
)

Row = Mapping[str, Any]
_OLDER = "an older kilotoken measured it; `kilotoken report RUN` measures again from its files"
_COUNTED = ("engine_steps", "decode_steps", "prompt_tokens")


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """One window. `arm`, `workload`, `streams` say where it stands."""

    arm: str
    workload: str
    streams: int
    work: StepWork
    seconds: float


def draft_passes(config: ServerConfig) -> float:
    """Passes of the drafter, one after the other, in a step of this server.

    One token after another takes k of them, a whole block one; looking up takes none.
    """
    section = config.speculation
    if not isinstance(section, Speculating) or isinstance(
        section, NgramSpeculation | SuffixSpeculation | CustomClassSpeculation
    ):
        return 0.0
    parallel = isinstance(section, DraftModelSpeculation | EagleSpeculation) and section.parallel_drafting
    if parallel or isinstance(section, MedusaSpeculation | BlockDraftSpeculation):
        return 1.0
    assert isinstance(section, DraftModelSpeculation | EagleSpeculation | MtpSpeculation)
    return float(section.num_speculative_tokens)


def measured_step(row: Row, config: ServerConfig, drafter: str) -> MeasuredStep | str:
    """The window's mean step, or why it has none that could be used.

    Args:
        row: a cell of measures.json.
        config: of its arm.
        drafter: under which name its steps are fitted; `off` without one.
    """
    verdict = row["verdict"]["throughput"]
    if verdict != "valid":
        return f"its throughput is {verdict}: {row['reason']}"
    if row["streams"] is None:
        return "it was not measured in a closed loop"
    if "request_means" not in row:
        return _OLDER
    lacking = [name for name in _COUNTED if row[name] is None]
    if lacking:
        return f"the server does not count {', '.join(lacking)}"
    if row["request_means"] is None:
        return "no answer in its window had more than one token and said so"
    steps = row["engine_steps"]
    if not steps or not row["decode_steps"]:
        return "no step of the engine ended in its window"
    sequences = row["decode_steps"] / steps
    work = StepWork(
        method=drafter,
        sequences=sequences,
        drafted=(row["draft_tokens"] or 0) / steps,
        draft_steps=0.0 if drafter == OFF else draft_passes(config),
        context=sequences * row["request_means"]["decode_context_tokens"],
        prefilled=_prefilled(row) / steps,
    )
    return MeasuredStep(row["arm"], row["workload"], row["streams"], work, row["window_s"] / steps)


def _prefilled(row: Row) -> float:
    """Prompt tokens of the window that no prefix cache had."""
    return float(row["prompt_tokens"] - (row["cached_prompt_tokens"] or 0))

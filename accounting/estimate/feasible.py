"""Whether an SLO can be met at all: at the batch asked for, at a smaller one, or at none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Drafting, Load, ServingEstimate, estimate
from accounting.slo import Slo


@dataclass(frozen=True, slots=True)
class SloReach:
    """`met` at the batch asked for; `largest_batch` that meets the limits and fits, 0 where none does."""

    met: bool
    largest_batch: int
    sentence: str


def slo_reach(placed: Placement, load: Load, slo: Slo, drafting: Drafting | None = None) -> SloReach:
    """Judge by the estimate: TPOT holds the other prompts' prefill and grows with the batch, so that halving finds the largest
    one that holds. TTFT is that of a prompt that waits for no other; where it breaks for the last of prompts that come all at
    once, the sentence says so.
    """

    def at(batch: int) -> ServingEstimate:
        return estimate(placed, replace(load, batch=batch), drafting)

    asked, alone = at(load.batch), at(1)
    largest = _largest(lambda batch: not _broken(at(batch), slo), min(asked.largest_batch, 1 << 20))
    broken = _broken(asked, slo)
    if broken:
        where = _broken(alone, slo)
        rest = (
            f"not even one sequence alone keeps it ({where})"
            if where
            else f"up to {largest} sequences keep it"
            if largest
            else "and nothing fits"
        )
        return SloReach(False, largest, f"the SLO is not met at batch {load.batch} ({broken}): {rest}")
    if not asked.fits:
        return SloReach(
            False, largest, f"the limits hold at batch {load.batch}, but it does not fit: {largest} do"
        )
    said = f"the SLO is met at batch {load.batch}, and up to {largest}{_at_once(asked, slo)}"
    return SloReach(True, largest, said)


def _at_once(found: ServingEstimate, slo: Slo) -> str:
    """What prompts that come together have to wait for, where that breaks the limit; empty where it does not."""
    if slo.ttft_s is None or found.last_ttft_s <= slo.ttft_s:
        return ""
    return (
        f", if a prompt waits for no other: of {found.load.batch} that come at once the last has a TTFT of "
        f"{found.last_ttft_s * 1000:.3g} ms"
    )


def _broken(found: ServingEstimate, slo: Slo) -> str:
    """Limits that the estimate breaks, in words; empty where none."""
    e2e_s = found.ttft_s + found.tpot_s * (found.load.output_tokens - 1)
    parts = (
        ("TTFT", found.ttft_s, slo.ttft_s),
        ("TPOT", found.tpot_s, slo.tpot_s),
        ("E2E", e2e_s, slo.e2e_s),
    )
    return ", ".join(
        f"{name} {value * 1000:.3g} ms above {limit * 1000:g} ms"
        for name, value, limit in parts
        if limit is not None and value > limit
    )


def _largest(holds: Callable[[int], bool], most: int) -> int:
    """The largest number up to `most` for which it holds, if it holds for all smaller ones; 0 for none."""
    if most < 1 or not holds(1):
        return 0
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low

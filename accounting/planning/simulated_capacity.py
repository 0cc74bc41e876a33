"""The highest load at which a simulated policy meets an SLO, found as a measured capacity is: by the same search, of simulated loads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from accounting.capacity import Bounds, Decision, Probed, bracket, next_load
from accounting.planning.queue_simulation import Simulated
from accounting.slo import Slo


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCapacity:
    """What a policy sustains.

    Attributes:
        load: streams, or requests per second; None where the lowest load already misses the floor.
        slo_tokens_per_s: output tokens per second of requests that met every limit, at that load.
        tokens_per_s: of all requests.
        attainment: share of requests that met every limit.
        probes: loads that were simulated, and what they said.
    """

    load: float | None
    slo_tokens_per_s: float
    tokens_per_s: float
    attainment: float
    probes: tuple[Probed, ...]


def simulated_capacity(simulate: Callable[[float], Simulated], slo: Slo, bounds: Bounds) -> SimulatedCapacity:
    """Search the load.

    Args:
        simulate: a load (streams or requests per second) of the policy.

    Raises:
        ValueError: if the bounds are no range.
    """
    probes: list[Probed] = []
    seen: dict[float, SimulatedCapacity] = {}
    while (load := next_load(probes, bounds)) is not None:
        simulated = simulate(load)
        seen[load] = at_load(load, simulated, slo)
        meets = seen[load].attainment >= slo.attainment_floor and simulated.kept_up
        probes.append((load, Decision.MEETS if meets else Decision.MISSES))
    highest = bracket(probes).met
    found = seen[highest if highest is not None else min(seen)]
    return replace(found, load=highest, probes=tuple(probes))


def at_load(load: float, simulated: Simulated, slo: Slo) -> SimulatedCapacity:
    """One load judged by its SLO; an answer of one token has no TPOT and cannot break that limit."""
    met = slo.kept(simulated.ttft_s, simulated.tpot_s, simulated.last_token_s - simulated.arrived_s)
    whole_s = simulated.arriving_s
    return SimulatedCapacity(
        load=load,
        slo_tokens_per_s=float(simulated.output_tokens[met].sum()) / whole_s,
        tokens_per_s=float(simulated.output_tokens.sum()) / whole_s,
        attainment=float(met.mean()),
        probes=(),
    )

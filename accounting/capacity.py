"""Which load to try next, and what a search has found: the highest load that meets the attainment floor.

Attainment falls as load grows. The search doubles from the lowest load until one misses the floor (or the highest
allowed is met), then halves the gap between the highest that met it and the lowest that missed it, in ratio, until the
gap is small. It never tries a load above one that missed. Pure: the next load follows from the probes so far.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """What a probe says of its load."""

    MEETS = "meets"
    MISSES = "misses"
    UNJUDGED = "unjudged"  # it missed the floor, but something else than the server may have been the reason


#: A load that could not be judged so many times counts as missed: the search must end.
TRIES = 2


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a search looks. Loads are streams (`whole`) or requests per second.

    `resolution`: the gap between the two ends at which it stops, as a share of the lower one; streams need not come
    closer than 1. `most_probes` ends it in any case.
    """

    lowest: float
    highest: float
    resolution: float = 0.1
    most_probes: int = 12
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Bracket:
    """Where the capacity lies so far. None where no load has met the floor, or none missed it."""

    met: float | None
    missed: float | None


Probed = tuple[float, Decision]  # load, what it said


def bracket(probes: Sequence[Probed]) -> Bracket:
    """The highest load that met the floor below the lowest that missed it."""
    missed = {at for at, said in probes if said is Decision.MISSES}
    unjudged = [at for at, said in probes if said is Decision.UNJUDGED]
    missed |= {at for at in unjudged if unjudged.count(at) >= TRIES}
    least = min(missed, default=None)
    met = [at for at, said in probes if said is Decision.MEETS and (least is None or at < least)]
    return Bracket(max(met, default=None), least)


def next_load(probes: Sequence[Probed], bounds: Bounds) -> float | None:
    """The next load to try; None where the search is over.

    Raises:
        ValueError: if the bounds are no range of positive loads.
    """
    if not 0 < bounds.lowest <= bounds.highest or bounds.most_probes < 1 or not bounds.resolution > 0:
        raise ValueError(f"no search lies in {bounds}")
    if len(probes) >= bounds.most_probes:
        return None
    found = bracket(probes)
    if probes and probes[-1][1] is Decision.UNJUDGED and probes[-1][0] != found.missed:
        return probes[-1][0]
    if found.missed is None:
        if found.met is None:
            return bounds.lowest
        return None if found.met >= bounds.highest else min(2 * found.met, bounds.highest)
    if found.met is None:
        return None
    if found.missed - found.met <= max(bounds.resolution * found.met, 1.0 if bounds.whole else 0.0):
        return None
    middle = math.sqrt(found.met * found.missed)
    if not bounds.whole:
        return float(f"{middle:.4g}")
    return float(min(max(round(middle), found.met + 1), found.missed - 1))


def sentence(probes: Sequence[Probed], bounds: Bounds, label: Callable[[float], str]) -> str:
    """What the search found, in words. `label` names a load: `8 streams`."""
    found = bracket(probes)
    if found.met is None:
        if found.missed is None:
            return "no load was judged"
        return f"no load met the floor: {label(found.missed)}, the lowest allowed, missed it"
    if found.missed is None:
        reached = "the highest allowed" if found.met >= bounds.highest else "the highest tried"
        return f"at least {label(found.met)}: {reached} met the floor, no load missed it"
    return f"{label(found.met)} met the floor, {found.missed:g} missed it"

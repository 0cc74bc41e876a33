"""A machine's energy: GPU boards and CPU packages apart and together, what the sum holds, joules per token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accounting.energy import EnergyCode, EnergyCounter, MeterKind, WindowEnergy, unusable
from accounting.missing import Measured, measured, not_measured

#: In no sum, on whatever machine.
NOT_METERED = "main memory, drives, fans, network and the loss of the power supply are not measured"


@dataclass(frozen=True, slots=True)
class MachineEnergy:
    """`kinds` apart, and the `total` of those that `covers` names; `leaves_out` says what is not in it, and why."""

    total: WindowEnergy
    kinds: Mapping[MeterKind, WindowEnergy]
    covers: tuple[str, ...] = ()
    leaves_out: tuple[str, ...] = ()


def summed(energies: Sequence[WindowEnergy]) -> WindowEnergy:
    """The sum where every part is usable, else the first part that is not.

    Raises:
        ValueError: of nothing.
    """
    if not energies:
        raise ValueError("a sum of no energies is not zero joules: there is none")
    joules: list[float] = []
    durations: list[float] = []
    for energy in energies:
        if energy.joules.value is None or energy.duration_s is None:
            return energy
        joules.append(energy.joules.value)
        durations.append(energy.duration_s)
    wrapped = any(energy.code is EnergyCode.WRAPPED for energy in energies)
    code = EnergyCode.WRAPPED if wrapped else EnergyCode.VALID
    return WindowEnergy(measured(math.fsum(joules)), code, math.fsum(durations) / len(durations))


def machine_energy(
    meters: Sequence[tuple[EnergyCounter, WindowEnergy]], absent: Mapping[MeterKind, str]
) -> MachineEnergy:
    """GPU boards and CPU packages, apart and together.

    The total means the same in all windows of a machine: it holds every kind that the machine can measure, or there is
    none. CPU packages without a counter are left out of it and named. GPU boards without one are not: they draw the
    most, and a sum without them would pass for all.

    Args:
        meters: every counter with its window.
        absent: what this machine has not, for each kind without a meter: "no NVIDIA GPU".
    """
    by_kind = {kind: [e for counter, e in meters if counter.kind is kind] for kind in MeterKind}
    kinds = {kind: summed(energies) for kind, energies in by_kind.items() if energies}
    lacking = {kind: words for kind, words in absent.items() if kind not in kinds}
    left_out = {kind: f"this machine has {words}" for kind, words in lacking.items()}
    packages = kinds.get(MeterKind.CPU_PACKAGE)
    if packages is not None and packages.code is EnergyCode.NO_COUNTER:
        left_out[MeterKind.CPU_PACKAGE] = packages.joules.reason
    counted = {kind: energy for kind, energy in kinds.items() if kind not in left_out}
    if not counted:
        unread = [energy.joules.reason for energy in kinds.values()]
        has_not = [f"this machine has {' and '.join(lacking.values())}"] if lacking else []
        why = "; ".join([*unread, *has_not]) or "no meter was looked for"
        return MachineEnergy(unusable(EnergyCode.NO_COUNTER, why), kinds)
    for kind, energy in counted.items():
        if energy.joules.value is None:
            return MachineEnergy(unusable(energy.code, f"{kind}s: {energy.joules.reason}"), kinds)
    return MachineEnergy(
        total=summed(list(counted.values())),
        kinds=kinds,
        covers=tuple(f"{kind}s" for kind in counted),
        leaves_out=(*(f"{kind}s: {reason}" for kind, reason in left_out.items()), NOT_METERED),
    )


def joules_per_1k_tokens(joules: Measured, tokens: Measured) -> Measured:
    """Energy of 1000 tokens: joules / tokens x 1000.

    Raises:
        ValueError: if the token count is negative.
    """
    if joules.value is None:
        return joules
    if tokens.value is None:
        return tokens
    if tokens.value < 0:
        raise ValueError(f"{tokens.value} tokens have no energy")
    if tokens.value == 0:
        return not_measured("no tokens were delivered in the window")
    return measured(joules.value / tokens.value * 1000.0)

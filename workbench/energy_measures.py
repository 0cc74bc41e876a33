"""What the meters said at a window's edges -> the energy of a cell's measures. No price in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounting.energy import EnergyCode, EnergyCounter, EnergyReading, MeterKind, WindowEnergy, window_energy
from accounting.machine_energy import joules_per_1k_tokens, machine_energy
from accounting.missing import Measured, measured, not_measured

OLDER_RUN = "the run was recorded before energy was"


def energy_measures(recorded: Mapping[str, Any] | None, output_tokens: Measured) -> dict[str, Any]:
    """`energy` of a cell: joules, watts and joules per 1000 output tokens, or None with code and reason.

    Args:
        recorded: `EnergyMeter.plain` from cell.json; None in older run directories.
        output_tokens: of the same window.
    """
    if recorded is None:
        return older_run()
    if recorded["reason"]:
        return _nothing(EnergyCode.NO_COUNTER, recorded["reason"])
    meters = [(counter, _window(counter, recorded)) for counter in _counters(recorded)]
    together = machine_energy(meters, {MeterKind(k): words for k, words in recorded["absent"].items()})
    total, per_1k = together.total, joules_per_1k_tokens(together.total.joules, output_tokens)
    return {
        "joules": total.joules.value,
        "watts": total.watts.value,
        "joules_per_1k_output_tokens": per_1k.value,
        "code": str(total.code),
        "reason": per_1k.reason or None,
        "covers": list(together.covers),
        "leaves_out": list(together.leaves_out),
        "note": recorded["note"] or None,
        "kinds": [{"kind": str(kind)} | _plain(energy) for kind, energy in together.kinds.items()],
        "meters": [{"meter": c.meter, "kind": str(c.kind)} | _plain(energy) for c, energy in meters],
    }


def older_run() -> dict[str, Any]:
    """`energy` of a cell that was measured before energy was."""
    return _nothing(EnergyCode.NOT_RECORDED, OLDER_RUN)


def output_tokens_of(counters: Mapping[str, Any], reconciliation: Mapping[str, Any]) -> Measured:
    """The window's output tokens, withheld, as its cost is, where the server's and the client's count do not agree."""
    if not reconciliation["reconciled"] and counters["token_source"] == "counters":
        return not_measured(f"withheld: {reconciliation['reason']}")
    if counters["output_tokens"] is None:
        return not_measured(reconciliation["reason"] or "no output tokens were counted")
    return measured(counters["output_tokens"])


def _counters(recorded: Mapping[str, Any]) -> list[EnergyCounter]:
    return [EnergyCounter(**{**plain, "kind": MeterKind(plain["kind"])}) for plain in recorded["counters"]]


def _window(counter: EnergyCounter, recorded: Mapping[str, Any]) -> WindowEnergy:
    start, end = (_of(counter, recorded[edge]) for edge in ("window_start", "window_end"))
    between = [reading for row in recorded["between"] if (reading := _of(counter, row)) is not None]
    return window_energy(counter, start, end, between)


def _of(counter: EnergyCounter, readings: list[dict[str, Any]]) -> EnergyReading | None:
    return next((EnergyReading(**plain) for plain in readings if plain["meter"] == counter.meter), None)


def _plain(energy: WindowEnergy) -> dict[str, Any]:
    return {
        "joules": energy.joules.value,
        "watts": energy.watts.value,
        "code": str(energy.code),
        "reason": energy.joules.reason or None,
    }


def _nothing(code: EnergyCode, reason: str) -> dict[str, Any]:
    return {
        "joules": None,
        "watts": None,
        "joules_per_1k_output_tokens": None,
        "code": str(code),
        "reason": reason,
        "covers": [],
        "leaves_out": [],
        "note": None,
        "kinds": [],
        "meters": [],
    }

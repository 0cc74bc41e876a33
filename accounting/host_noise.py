"""Did the machine do anything else meanwhile? From one-second samples of where its CPU time went.

`busy` is user, nice and system time; interrupts are left out, because most are the load's own traffic. `own` is what
the server's, the load client's and the workbench's process trees used; the rest of busy is foreign. Steal is what
the hypervisor gave to others. A host is noisy if these took 5 % of it over the window (as much as a drift that is
material), or a tenth (steal: a twentieth) in every fifth second: tails see bursts that a mean hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

MEAN_SHARE = 0.05
FOREIGN_SHARE = 0.10
STEAL_SHARE = 0.05
PART_OF_WINDOW = 0.20
#: A container's quota held its processes back for this share of the window's CPU time.
THROTTLED_SHARE = 0.01


class GpuSample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One GPU at an instant: SM clock in MHz, and NVML's words for why it is not higher (none: empty)."""

    index: int
    sm_mhz: int
    throttle_reasons: tuple[str, ...] = ()


class HostSample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where CPU time went in the `interval_s` before `at_s` (monotonic s). Amounts in CPUs: 1.0 is one whole CPU.

    None where this machine does not say; `not_measured` holds the reasons.
    """

    at_s: float
    interval_s: float
    cpus: int
    busy_cpus: float
    steal_cpus: float
    own_cpus: float
    foreign_cpus: float
    pressure_share: float | None = (
        None  # of the interval in which some task waited for a CPU; our own waits included
    )
    throttled_cpus: float | None = None  # held back by the control group's quota
    frequency_mhz: float | None = None  # mean over the CPUs
    thermal_throttles: int | None = None  # events in the interval
    gpus: tuple[GpuSample, ...] = ()
    not_measured: tuple[str, ...] = ()


#: NVML's reasons that mean the GPU ran slower than it could: heat and power, not idleness or chosen clocks.
GPU_SLOWDOWNS = frozenset({"hw_slowdown", "hw_thermal_slowdown", "hw_power_brake", "sw_thermal_slowdown"})


@dataclass(frozen=True, slots=True)
class HostNoise:
    """Shares of the machine over the window's samples; None without any. `reason` is empty on a quiet host."""

    samples: int
    foreign_share: float | None
    steal_share: float | None
    noisy_part: float | None  # of the samples, in which either was above its limit
    reason: str
    not_measured: tuple[str, ...] = ()


def host_noise(samples: Sequence[HostSample], start_s: float, end_s: float) -> HostNoise:
    """Judge the samples whose interval lies inside [start_s, end_s]."""
    inside = [s for s in samples if s.at_s - s.interval_s >= start_s - 0.5 and s.at_s <= end_s + 0.5]
    if not inside:
        return HostNoise(0, None, None, None, "", ("the host was not sampled inside the window",))
    seconds = np.array([s.interval_s for s in inside])
    foreign = np.array([s.foreign_cpus / s.cpus for s in inside])
    steal = np.array([s.steal_cpus / s.cpus for s in inside])
    foreign_share, steal_share = (float(np.average(share, weights=seconds)) for share in (foreign, steal))
    above = (foreign > FOREIGN_SHARE) | (steal > STEAL_SHARE)
    noisy_part = float(np.average(above, weights=seconds))
    found = []
    if foreign_share + steal_share > MEAN_SHARE:
        found.append(
            f"other programs took {foreign_share:.0%} of the machine and its hypervisor {steal_share:.0%}"
        )
    elif noisy_part > PART_OF_WINDOW:
        found.append(
            f"other programs or the hypervisor took more than {FOREIGN_SHARE:.0%} or {STEAL_SHARE:.0%} of the "
            f"machine in {noisy_part:.0%} of the window"
        )
    found += _throttling(inside, seconds)
    missing = tuple(dict.fromkeys(reason for s in inside for reason in s.not_measured))
    return HostNoise(len(inside), foreign_share, steal_share, noisy_part, "; ".join(found), missing)


def _throttling(inside: Sequence[HostSample], seconds: np.ndarray) -> list[str]:
    found = []
    throttled = np.array([(s.throttled_cpus or 0.0) / s.cpus for s in inside])
    share = float(np.average(throttled, weights=seconds))
    if share > THROTTLED_SHARE:
        found.append(f"a CPU quota held processes back for {share:.0%} of the machine's time")
    hot = sum(s.thermal_throttles or 0 for s in inside)
    if hot:
        found.append(f"the CPUs were throttled {hot} times for heat")
    slowed = sum(any(GPU_SLOWDOWNS & set(gpu.throttle_reasons) for gpu in s.gpus) for s in inside)
    if slowed > PART_OF_WINDOW * len(inside):
        found.append(f"a GPU was slowed for heat or power in {slowed} of {len(inside)} samples")
    return found

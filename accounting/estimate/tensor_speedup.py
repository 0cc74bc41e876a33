"""How much faster a decode step gets on tensor-parallel devices, and the most that it can: Amdahl's law on the estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from accounting.estimate.parallelism import amdahl_speedup
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Load, round_of
from accounting.estimate.step_time import decode_step


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpeedup:
    """`speedup` of a decode step over one device; `serial_share` of that device's time which does not get shorter; the
    `at_most` of any number of devices with this share, None where nothing is serial.
    """

    serial_share: float
    speedup: float
    at_most: float | None


def tensor_speedup(placed: Placement, load: Load) -> TensorSpeedup:
    """Of one decode step of the load. Messages, overheads and repeated caches are what stays.

    With several devices the serial share is the one that Amdahl's law needs for the estimated speed-up (Karp and Flatt, CACM
    33 (1990) 539), on one device it is the overheads' share.
    """
    sequences = round_of(placed, load).sequences
    alone = decode_step(replace(placed, tensor=1), sequences, load.context)
    ways = placed.tensor
    if ways == 1:
        share = alone.overhead_s / alone.seconds
    else:
        speedup = alone.seconds / decode_step(placed, sequences, load.context).seconds
        share = min(1.0, max(0.0, (1.0 / speedup - 1.0 / ways) / (1.0 - 1.0 / ways)))
    most = amdahl_speedup(share)
    return TensorSpeedup(
        serial_share=share, speedup=amdahl_speedup(share, ways), at_most=most if math.isfinite(most) else None
    )

"""One model on several devices: what dividing it costs in messages and in waiting."""

from __future__ import annotations


def all_reduce_s(message_bytes: float, ways: int, link_bytes_per_s: float, latency_s: float = 0.0) -> float:
    """Seconds of a ring all-reduce: each device sends 2 (n - 1) / n of the message over half of its two-way link.

    `link_bytes_per_s` counts both directions, as makers state it. `latency_s` per message.

    Raises:
        ValueError: without devices, link or message.
    """
    if ways < 1 or link_bytes_per_s <= 0 or message_bytes < 0:
        raise ValueError(f"{message_bytes} bytes over {ways} devices at {link_bytes_per_s} bytes/s cannot be")
    if ways == 1:
        return 0.0
    return 2.0 * (ways - 1) / ways * message_bytes / (link_bytes_per_s / 2) + latency_s


def bubble_share(stages: int, microbatches: float) -> float:
    """Share of the time that pipeline stages wait: (p - 1) / (m + p - 1) (GPipe, arXiv 1811.06965).

    Raises:
        ValueError: without a stage or a microbatch.
    """
    if stages < 1 or microbatches < 1:
        raise ValueError(f"{stages} stages with {microbatches} microbatches cannot be")
    return (stages - 1) / (microbatches + stages - 1)


def amdahl_speedup(serial_share: float, ways: float = float("inf")) -> float:
    """How much faster work gets on so many devices if a share of it stays serial: 1 / (s + (1 - s) / n).

    Raises:
        ValueError: for a share outside 0 to 1, or less than one device.
    """
    if not 0.0 <= serial_share <= 1.0 or ways < 1:
        raise ValueError(f"a serial share of {serial_share} on {ways} devices cannot be")
    parallel = (1.0 - serial_share) / ways
    return float("inf") if serial_share + parallel == 0 else 1.0 / (serial_share + parallel)

"""Did the load client keep up? How late it sent and how late it read, and when that is material.

By the kernel's clock a late read does not move a stamp; it delays the stream's next request, and it lets events share
a read, which censors their stamps. By the client's own clock a late read cannot be seen at all, except in events
that share a read. Late sending is part of TTFT, which starts at the intended send.

Floors (1 ms in the median and the mean, 5 ms at p99) are the error that the calibration allows. Above them a lag is material
relative to what is measured: docs/verdicts.md says why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accounting import latency_columns
from accounting.record_columns import KERNEL, USER, RecordColumns, Records, as_columns, there, total

FLOOR_S = 0.001
P99_FLOOR_S = 0.005
#: Of E2E's median: what lateness in sending may take from a closed loop's throughput.
SEND_SHARE_OF_E2E = 0.01
#: Of TTFT's median: what lateness in sending may add to it.
SEND_SHARE_OF_TTFT = 0.02
P99_SEND_SHARE_OF_TTFT = 0.10
#: Of TPOT's median: what the client may hold an event for, on average.
LAG_SHARE_OF_TPOT = 0.10
P99_LAG_SHARE_OF_TPOT = 1.0
#: A p99 looks at one answer in a hundred: it must not be decided by answers whose first stamp is void.
VOIDED_SHARE = 0.01
CENSORED_SHARE_BY_USER_CLOCK = 0.10
#: Below so many requests a p99 of sends is their maximum.
MINIMUM_FOR_P99 = 100


@dataclass(frozen=True, slots=True)
class ClientLag:
    """How late the client was. Times in seconds, None where the clock cannot know or there is no sample.

    `clock` is "kernel" or "user"; `lag_*` from the kernel's stamp until the client had the bytes; `send_*` actual
    minus intended send; `voided_ttft_share` of answers whose first text shared a read.
    """

    clock: str | None
    lag_mean_s: float | None
    lag_p50_s: float | None
    lag_p99_s: float | None
    send_mean_s: float | None
    send_p50_s: float | None
    send_p99_s: float | None
    censored_share: float | None
    voided_ttft_share: float | None
    unstamped_reads: int


def one_clock(records: Records) -> tuple[str | None, RecordColumns]:
    """The clock of most answered records, and the records stamped by it: two clocks never share a distribution.

    Records without any event carry no stamp and are kept.
    """
    columns = as_columns(records)
    answered, kernel = latency_columns.answered(columns), columns.kernel_clock
    if not answered.any():
        return None, columns
    by_kernel = 2 * int((answered & kernel).sum()) >= int(answered.sum())
    return KERNEL if by_kernel else USER, columns.take((kernel == by_kernel) | ~answered)


def clocks(records: Records) -> set[str]:
    """The clocks that stamped any answer."""
    columns = as_columns(records)
    kernel = columns.kernel_clock[latency_columns.answered(columns)]
    return {clock for clock, some in ((KERNEL, kernel.any()), (USER, not kernel.all())) if some}


def client_lag(records: Records) -> ClientLag:
    """Measure the client on the requests of a window. By one clock: give what `one_clock` kept."""
    columns = as_columns(records)
    stamped = columns.kernel_clock[latency_columns.answered(columns)]
    clock = None if not len(stamped) else KERNEL if stamped[0] else USER
    lags = latency_columns.lags_s(columns)
    sends = there(latency_columns.send_lags_s(columns))
    first = columns.first_text_censored[columns.ok & ~np.isnan(columns.first_text_s)]
    return ClientLag(
        clock=clock,
        lag_mean_s=float(lags.mean(dtype=np.float64)) if len(lags) else None,
        lag_p50_s=_quantile(lags, 0.5),
        lag_p99_s=_quantile(lags, 0.99),
        send_mean_s=float(sends.mean()) if len(sends) else None,
        send_p50_s=_quantile(sends, 0.5),
        send_p99_s=_quantile(sends, 0.99) if len(sends) >= MINIMUM_FOR_P99 else None,
        censored_share=latency_columns.censored_share(columns),
        voided_ttft_share=int(first.sum()) / len(first) if len(first) else None,
        unstamped_reads=total(columns.unstamped_reads),
    )


def client_findings(lag: ClientLag, *, e2e_p50_s: float | None) -> list[str]:
    """What voids throughput too: streams idled for want of the client. A late read delays nobody but its own stream's
    next request, so this is all in how late requests were sent, as a share of what a request takes.
    """
    limit_s = max(FLOOR_S, SEND_SHARE_OF_E2E * (e2e_p50_s or 0.0))
    if lag.send_mean_s is None or lag.send_mean_s <= limit_s:
        return []
    return [
        f"the client sent {_ms(lag.send_mean_s)} late on average, {_ms(limit_s)} may be"
        + (f" (a request takes {_ms(e2e_p50_s)})" if e2e_p50_s else "")
    ]


def client_tail_findings(lag: ClientLag, *, ttft_p50_s: float | None, tpot_p50_s: float | None) -> list[str]:
    """What voids the latencies: requests left late, or events were read late enough to spoil stamps."""
    ttft_s, tpot_s = ttft_p50_s or 0.0, tpot_p50_s or 0.0
    limits = (
        ("sent {} late in the median", lag.send_p50_s, max(FLOOR_S, SEND_SHARE_OF_TTFT * ttft_s)),
        ("sent {} late at p99", lag.send_p99_s, max(P99_FLOOR_S, P99_SEND_SHARE_OF_TTFT * ttft_s)),
        ("read events {} late on average", lag.lag_mean_s, max(FLOOR_S, LAG_SHARE_OF_TPOT * tpot_s)),
        ("read events {} late at p99", lag.lag_p99_s, max(P99_FLOOR_S, P99_LAG_SHARE_OF_TPOT * tpot_s)),
    )
    found = [
        f"the client {words.format(_ms(late_s))}, {_ms(limit_s)} may be"
        for words, late_s, limit_s in limits
        if late_s is not None and late_s > limit_s
    ]
    if lag.voided_ttft_share is not None and lag.voided_ttft_share > VOIDED_SHARE:
        found.append(f"{lag.voided_ttft_share:.1%} of first tokens shared a read: their TTFT is void")
    if (
        lag.clock == "user"
        and lag.censored_share is not None
        and lag.censored_share > CENSORED_SHARE_BY_USER_CLOCK
    ):
        found.append(f"{lag.censored_share:.1%} of events shared a read, and the clock is the client's own")
    return found


def rate_finding(tokens_per_s: float | None, calibrated_tokens_per_s: float | None) -> str:
    """Whether the cell was faster than what this machine's client was calibrated for; empty if not."""
    if tokens_per_s is None or calibrated_tokens_per_s is None or tokens_per_s <= calibrated_tokens_per_s:
        return ""
    return (
        f"{tokens_per_s:.0f} tokens/s, and the client of this machine is calibrated to "
        f"{calibrated_tokens_per_s:.0f}"
    )


def _quantile(samples: NDArray[np.floating], quantile: float) -> float | None:
    return float(np.quantile(samples, quantile)) if len(samples) else None


def _ms(value_s: float) -> str:
    return f"{value_s * 1000:.1f} ms"

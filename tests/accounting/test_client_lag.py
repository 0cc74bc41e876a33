from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accounting.client_lag import (
    ClientLag,
    client_findings,
    client_lag,
    client_tail_findings,
    one_clock,
    rate_finding,
)
from accounting.record_examples import failed, record
from accounting.records import Chunks, RequestRecord

E2E_S = 2.0
MEDIANS = {"ttft_p50_s": 0.05, "tpot_p50_s": 0.02}
GOOD = ClientLag(
    clock="kernel",
    lag_mean_s=0.0003,
    lag_p50_s=0.0002,
    lag_p99_s=0.002,
    send_mean_s=0.0003,
    send_p50_s=0.0002,
    send_p99_s=0.002,
    censored_share=0.01,
    voided_ttft_share=0.0,
    unstamped_reads=0,
)


def streamed(
    start_s: float, lag_of: Any, *, tokens: int = 100, gap_s: float = 0.02, **changes: Any
) -> RequestRecord:
    """An answer with exact stamps every `gap_s`, read `lag_of(at)` later; reads that coincide censor the earlier ones."""
    at_s = start_s + 0.05 + gap_s * np.arange(tokens)
    read_s = at_s + np.array([lag_of(at) for at in at_s])
    censored = np.append(np.diff(read_s) < 1e-4, False)
    chunks = Chunks(at_s, np.arange(1, tokens + 1), censored, (read_s - at_s).astype(np.float32))
    return replace(
        record([(0.05, 1)], intended_send_s=start_s, sent_s=start_s, clock="kernel", first_text_s=at_s[0]),
        chunks=chunks,
        completion_tokens=tokens,
        end_s=float(at_s[-1]),
        first_text_censored=bool(censored[0]),
        **changes,
    )


def stalled(at_s: float) -> float:
    """80 ms of CPU at the beginning of each second: whatever arrives meanwhile is read at its end."""
    into = at_s % 1.0
    return 0.08 - into if into < 0.08 else 0.0002


def test_a_client_stalled_80_ms_each_second_is_found() -> None:
    records = [streamed(100 + i * 0.0173, stalled) for i in range(150)]
    lag = client_lag(records)
    assert lag.clock == "kernel"
    assert lag.lag_p99_s == pytest.approx(0.075, abs=0.01)
    assert lag.lag_p50_s == pytest.approx(0.0002, abs=1e-4)
    assert lag.censored_share is not None
    assert 0.03 < lag.censored_share < 0.09
    assert any("on average" in text for text in client_tail_findings(lag, **MEDIANS))
    assert any("p99" in text for text in client_tail_findings(lag, **MEDIANS))


def test_a_prompt_client_is_not() -> None:
    lag = client_lag([streamed(100 + i * 0.0173, lambda _at: 0.0003) for i in range(150)])
    assert client_findings(lag, e2e_p50_s=E2E_S) == []
    assert client_tail_findings(lag, **MEDIANS) == []


@pytest.mark.parametrize(
    ("change", "whole", "tails"),
    [
        ({}, 0, 0),
        ({"send_p50_s": 0.0012}, 0, 1),
        ({"lag_mean_s": 0.0021}, 0, 1),
        ({"send_mean_s": 0.019}, 0, 0),
        ({"send_mean_s": 0.021}, 1, 0),
        ({"send_p99_s": 0.006}, 0, 1),
        ({"lag_p99_s": 0.021}, 0, 1),
        ({"voided_ttft_share": 0.02}, 0, 1),
        ({"censored_share": 0.5}, 0, 0),
        ({"censored_share": 0.5, "clock": "user"}, 0, 1),
        (
            {
                "lag_mean_s": None,
                "lag_p99_s": None,
                "send_mean_s": None,
                "send_p50_s": None,
                "send_p99_s": None,
            },
            0,
            0,
        ),
    ],
)
def test_every_limit(change: dict[str, Any], whole: int, tails: int) -> None:
    lag = replace(GOOD, **change)
    assert len(client_findings(lag, e2e_p50_s=E2E_S)) == whole
    assert len(client_tail_findings(lag, **MEDIANS)) == tails


def test_the_same_lag_is_immaterial_where_the_server_is_slow() -> None:
    lag = replace(GOOD, send_p50_s=0.0015, lag_mean_s=0.004, lag_p99_s=0.03, send_p99_s=0.02)
    assert client_tail_findings(lag, **MEDIANS)
    assert client_tail_findings(lag, ttft_p50_s=0.8, tpot_p50_s=0.15) == []


def test_two_clocks_never_share_a_distribution() -> None:
    kernel = [streamed(100 + i, lambda _at: 0.0) for i in range(3)]
    own = [record([(0.1, 1), (0.2, 2)])]
    clock, kept = one_clock([*kernel, *own, failed()])
    assert clock == "kernel"
    assert kept.kernel_clock[kept.event_counts > 0].tolist() == [True] * 3
    assert len(kept) == 4  # a request that never had an answer has no stamp to mix
    assert one_clock(own)[0] == "user"
    assert one_clock([failed()])[0] is None


def test_by_the_clients_own_clock_lag_is_unknown_not_zero() -> None:
    lag = client_lag([record([(0.1, 1), (0.2, 2)])])
    assert (lag.clock, lag.lag_mean_s, lag.lag_p99_s) == ("user", None, None)


def test_a_rate_above_the_calibrated_one_is_found() -> None:
    assert "calibrated to 20000" in rate_finding(20001.0, 20000.0)
    assert rate_finding(19999.0, 20000.0) == ""
    assert rate_finding(19999.0, None) == ""


def test_reading_late_takes_nothing_from_throughput() -> None:
    """A token waits in the socket; only a request that is sent late leaves the server without work."""
    lag = replace(GOOD, lag_mean_s=0.05, lag_p99_s=0.2)
    assert client_findings(lag, e2e_p50_s=E2E_S) == []
    assert client_tail_findings(lag, **MEDIANS)

import json
from dataclasses import replace

import numpy as np
import pytest

from accounting.chosen_window import chosen_window
from accounting.evidence import CellFacts
from accounting.host_noise import HostSample
from accounting.load_summary import NO_RUNNING_COUNT, OWN_CLOCK, summarise
from accounting.record_examples import failed
from accounting.records import Chunks, Outcome, Phase
from tests.accounting.loads import answer, closed_load
from tests.accounting.queues import simulate

KEYS = {
    "requests", "failed", "output_tokens", "window_s", "output_tokens_per_s", "ttft_ms", "tpot_ms", "chunk_gap_ms",
    "e2e_ms", "client_lag_ms", "censored_share", "clock", "send_lateness_ms", "verdict", "reason",
}  # fmt: skip
FACTS = CellFacts(streams=32)


def test_an_exact_load_is_told_exactly_and_is_valid() -> None:
    summary = summarise(closed_load(32, 45.0), 5.0, 35.0, FACTS)
    assert set(summary) >= KEYS
    assert summary["ttft_ms"]["p50"] == pytest.approx(50.0)
    assert summary["ttft_ms"]["p99"] == pytest.approx(50.0)
    assert summary["tpot_ms"]["p50"] == pytest.approx(20.0)
    assert summary["chunk_gap_ms"]["p99"] == pytest.approx(20.0)
    assert summary["e2e_ms"]["p50"] == pytest.approx(50 + 49 * 20)
    assert summary["client_lag_ms"]["p99"] == pytest.approx(0.2, rel=1e-3)
    assert summary["send_lateness_ms"]["p50"] == pytest.approx(0.1, rel=1e-3)
    assert summary["output_tokens_per_s"] == pytest.approx(32 * 50 / 1.03, rel=0.01)
    assert summary["clock"] == "kernel"
    assert summary["verdict"] == {"throughput": "valid", "tails": "valid", "acceptance": None}
    assert summary["reason"] is None
    assert summary["findings"]["saturation"] is None  # a closed loop cannot saturate
    assert set(json.loads(json.dumps(summary, allow_nan=False))) == set(summary)


def test_percentiles_below_their_floor_are_null_with_the_reason() -> None:
    summary = summarise(closed_load(2, 40.0), 5.0, 35.0, CellFacts(streams=2))
    assert (summary["ttft_ms"]["p95"], summary["ttft_ms"]["p99"]) == (None, None)
    assert summary["ttft_ms"]["p50"] is not None
    assert "p95 needs 130 and p99 needs 662" in summary["ttft_ms"]["reason"]
    assert summary["verdict"]["tails"] == "too_short"
    assert summary["chunk_gap_ms"]["p99"] is not None


def test_a_server_that_slows_down_drifts() -> None:
    slowing = closed_load(32, 45.0, tpot_s=lambda at_s: 0.02 * (1 + at_s / 100))
    summary = summarise(slowing, 5.0, 35.0, FACTS)
    assert summary["verdict"]["throughput"] == "drifting"
    assert "TPOT drifts by +" in summary["reason"]
    assert "throughput drifts by -" in summary["reason"]


def test_a_slow_client_is_named() -> None:
    summary = summarise(closed_load(32, 45.0, lag_s=0.004), 5.0, 35.0, FACTS)
    assert summary["verdict"]["tails"] == "client_bound"


def test_a_rate_beyond_the_calibration_is_client_bound() -> None:
    facts = CellFacts(streams=32, calibrated_tokens_per_s=1000.0)
    assert summarise(closed_load(32, 45.0), 5.0, 35.0, facts)["verdict"]["throughput"] == "client_bound"


def test_a_noisy_host_is_named() -> None:
    noisy = [
        HostSample(
            at_s=s, interval_s=1.0, cpus=2, busy_cpus=1.5, own_cpus=1.0, foreign_cpus=0.5, steal_cpus=0.0
        )
        for s in np.arange(45.0)
    ]
    summary = summarise(closed_load(32, 45.0), 5.0, 35.0, CellFacts(streams=32, host_samples=noisy))
    assert summary["verdict"]["throughput"] == "noisy_host"
    assert summary["findings"]["host"]["foreign_share"] == pytest.approx(0.25)


@pytest.mark.parametrize(("load", "verdict"), [(0.5, "valid"), (1.5, "saturated")])
def test_an_open_loop_saturates_or_does_not(load: float, verdict: str) -> None:
    arrivals, begins, ends = simulate(5, load, places=32, service_s=1.0, until_s=75.0)
    records = [
        answer(at, number=i, ttft_s=begin - at + 0.05, tpot_s=(end - begin) / 49, tokens=50)
        for i, (at, begin, end) in enumerate(zip(arrivals, begins, ends, strict=True))
    ]
    summary = summarise(records, 10.0, 70.0, CellFacts(offered_rate_per_s=load * 32))
    assert summary["verdict"]["throughput"] == verdict
    assert summary["requests_per_s"]["offered"] == load * 32
    assert summary["requests_per_s"]["sent"] == pytest.approx(load * 32, rel=0.15)


def test_failures_stay_in_the_count_and_out_of_latency_and_every_request_is_accounted_for() -> None:
    lost = [failed(Outcome.TIMEOUT, intended_send_s=s, sent_s=s, end_s=s + 1) for s in np.arange(6.0, 34.0)]
    warm_up = [replace(answer(0.0, ttft_s=9.0), phase=Phase.WARM_UP)]
    records = [*closed_load(32, 45.0), *lost, *warm_up]
    summary = summarise(records, 5.0, 35.0, FACTS)
    assert summary["failed"] == 28
    assert summary["verdict"]["throughput"] == "failed"
    assert summary["ttft_ms"]["p99"] == pytest.approx(50.0)
    assert summary["accounted"]["by_outcome"]["timeout"] == 28
    assert summary["accounted"]["warm_up"] == 1
    assert summary["accounted"]["all"] == len(records)


def test_answers_of_another_length_than_declared_are_length_drift() -> None:
    short = [replace(r, expected_tokens=64) for r in closed_load(32, 45.0)]
    assert summarise(short, 5.0, 35.0, FACTS)["verdict"]["throughput"] == "length_drift"


def test_what_a_clock_or_a_server_cannot_say_is_null_with_the_reason() -> None:
    own = [
        replace(
            r,
            clock="user",
            chunks=Chunks(
                r.chunks.at_s,
                np.full(len(r.chunks), -1),
                r.chunks.censored,
                np.full(len(r.chunks), np.nan, np.float32),
            ),
        )
        for r in closed_load(8, 40.0)
    ]
    summary = summarise(own, 5.0, 35.0, CellFacts(streams=8))
    assert summary["clock"] == "user"
    assert summary["client_lag_ms"] == {"p50": None, "p99": None, "samples": 0, "reason": OWN_CLOCK}
    assert summary["tpot_ms"]["reason"] == NO_RUNNING_COUNT


def test_reconciliation_is_judged_where_it_was_undertaken() -> None:
    records = closed_load(32, 45.0)
    judged = summarise(
        records, 5.0, 35.0, FACTS, reconciled=False, reconciliation_reason="off by one", drafts=900
    )
    assert judged["verdict"] == dict.fromkeys(("throughput", "tails", "acceptance"), "unreconciled")


def test_nothing_measured_is_a_failure_not_a_crash() -> None:
    summary = summarise([], 0.0, 30.0, FACTS)
    assert summary["verdict"]["throughput"] == "failed"
    assert summary["output_tokens"] is None
    with pytest.raises(ValueError, match="holds nothing"):
        summarise([], 3.0, 3.0, FACTS)


def test_a_window_is_chosen_where_throughput_is_steady() -> None:
    records = closed_load(32, 50.0, tpot_s=lambda at_s: 0.05 if at_s < 6 else 0.02)
    window = chosen_window(records)
    assert window.reason == ""
    assert 5.0 <= window.start_s <= 12.0
    assert window.end_s > 40.0


def test_no_steady_state_is_said() -> None:
    climbing = closed_load(32, 50.0, tpot_s=lambda at_s: 0.02 * (1 + at_s / 20))
    assert chosen_window(climbing).reason.startswith("no steady state")
    assert "were sent for" in chosen_window(closed_load(2, 5.0)).reason
    with pytest.raises(ValueError, match="measured requests"):
        chosen_window([])

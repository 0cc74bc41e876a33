"""The benchmark of load clients: its arithmetic, on made-up runs."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.load_client import costs, errors, summarised
from benchmarks.load_client_peers import CLIENTS, Load, Said, write_tokenizer
from benchmarks.load_client_profile import shares
from benchmarks.load_client_watch import Watched
from loadtest.exact_server import Lateness, LatenessSummary


def a_run(*, streams: int, share: float) -> Watched:
    """Start-up for 10 s, then 40 s at a share of the offered rate, then 5 s of evaluation; half a core used."""
    watched = Watched()
    rate = share * streams * 100 / 2.03
    for tick in range(111):
        at_s = tick * 0.5
        watched.at_s.append(1000 + at_s)
        watched.tokens.append(int(rate * min(max(at_s - 10, 0), 40)))
        watched.client_cpu_s.append(0.5 * at_s)
        watched.server_cpu_s.append(0.25 * at_s)
        watched.busy_s.append(1.0 * at_s)
        watched.rss_bytes.append((100 + tick) << 20)
    return watched


def truth() -> Lateness:
    return Lateness(
        ttft_ms=50, interval_ms=20, tokens_per_chunk=1, window_s=10, cpu_s=3, requests=9, answers=9, aborted=0,
        tokens=900, writes=900, blocked_writes=0, unstamped_requests=0, connections=9, peak_streams=9,
        scheduling="real_time", first_token_lateness_ms=LatenessSummary(9, 0.05, 0.2, 1.0),
        token_lateness_ms=LatenessSummary(891, 0.1, 0.4, 1.0),
    )  # fmt: skip


def test_costs_are_those_of_the_middle_of_the_load_without_start_up_and_evaluation() -> None:
    found = costs(a_run(streams=100, share=0.9), 100, 20.0)
    assert found["delivered_share"] == pytest.approx(0.9, rel=1e-3)
    assert found["client_cores"] == pytest.approx(0.5)
    assert found["other_programs_cores"] == pytest.approx(0.25)
    assert found["events_per_s_per_core"] == pytest.approx(0.9 * found["delivered_tokens_per_s"] / 0.5)
    assert found["peak_rss_bytes"] == 210 << 20


def test_a_server_that_sent_nothing_is_no_measurement() -> None:
    with pytest.raises(ValueError, match="no token"):
        costs(a_run(streams=100, share=0.0), 100, 20.0)


def test_errors_are_beyond_the_servers_own_lateness() -> None:
    found = errors(Said(50.55, 53.2, 20.1, 4900.0), truth())
    assert found["ttft_p50_error_ms"] == pytest.approx(0.5)
    assert found["ttft_p99_error_ms"] == pytest.approx(3.0)
    assert found["tpot_error_share"] == pytest.approx(0.005)
    assert errors(Said(None, None, None, None), truth())["ttft_p50_error_ms"] is None


def test_the_summary_has_median_and_range_and_says_what_failed() -> None:
    rows = [{"client": "a", "streams": 400, "ttft_p99_ms": value} for value in (60.0, 50.0, 90.0)]
    rows.append({"client": "a", "streams": 400, "not_measured": "it crashed"})
    (entry,) = summarised(rows)
    assert entry["ttft_p99_ms"] == {"median": 60.0, "lowest": 50.0, "highest": 90.0}
    assert (entry["repeats"], entry["not_measured"]) == (3, "it crashed")


def test_samples_are_added_up_by_function_whatever_the_line() -> None:
    own, within, total = shares(
        "main (a/b/c.py:1);read (x/y/z.py:3) 6\nmain (a/b/c.py:2);read (x/y/z.py:9) 2\n"
    )
    assert own == {"read (y/z.py)": 1.0}
    assert within == {"main (b/c.py)": 1.0, "read (y/z.py)": 1.0}
    assert total == 8


def test_every_client_is_told_the_same_streams_and_answers(tmp_path: Path) -> None:
    load = Load("http://127.0.0.1:1", 137, 20.0, 2.03, tmp_path, write_tokenizer(tmp_path))
    for client in CLIENTS:
        told = " ".join(client.argv(Path("/env/bin/python"), load))
        assert "137" in told, client.name
        assert "100" in told, client.name
        assert load.url in told, client.name

"""What `benchmarks/load_truth.py` finds must hold on every machine, however busy: its own command is run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "load_truth.py"


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_scripted_pauses_are_measured_within_a_millisecond(found: dict[str, Any]) -> None:
    late = found["late_token"]
    assert late["gap_written_ms"] > 700
    assert late["gap_measured_ms"] == pytest.approx(late["gap_written_ms"], abs=1.0)
    for scenario in ("late_token", "three_tokens_in_one_chunk", "stalled_stream"):
        assert abs(found[scenario]["stamp_minus_write_ms"]["median"]) < 1.0


def test_three_tokens_in_one_chunk_are_three_tokens(found: dict[str, Any]) -> None:
    assert found["three_tokens_in_one_chunk"]["counts_agree"]
    assert found["three_tokens_in_one_chunk"]["tokens_per_chunk"].count(3) == 1


def test_a_stalled_stream_ends_with_the_clients_patience_and_keeps_what_came(found: dict[str, Any]) -> None:
    stalled = found["stalled_stream"]
    assert (stalled["outcome"], stalled["tokens_that_came"]) == ("timeout", 6)
    assert 1000 <= stalled["ended_after_ms"] < 3000


def test_a_client_that_is_kept_busy_is_found_out_and_its_times_stay_true(found: dict[str, Any]) -> None:
    busy = found["client_kept_busy"]
    assert busy["verdict"]["tails"] == "client_bound", busy["reason"]
    assert busy["censored_chunks"] > 0
    assert busy["client_lag_ms"]["p99"] > 5.0
    assert busy["answers_compared"] > 20
    assert busy["last_token_stamp_minus_write_ms"]["p90"] < 1.0
    assert busy["chunk_gap_ms"]["p50"] == pytest.approx(20.0, abs=1.0)

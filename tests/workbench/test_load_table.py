"""A load's table: what a person reads first, aligned, within 80 columns, and why a dash is a dash."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from workbench.load_table import load_table

FEW = "20 samples; p95 needs 130 and p99 needs 662"


def latency(p50: float | None, p95: float | None = None, reason: str | None = FEW) -> dict[str, Any]:
    return {"p50": p50, "p95": p95, "p99": None, "samples": 20, "reason": reason}


def document(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "server": {
            "model": "tiny", "url": "http://127.0.0.1:8000",
            "acceptance_length": {"value": None, "reason": "nothing is drafted"},
        },
        "output_tokens_per_s": 1234.56,
        "requests_per_s": {"offered": None, "sent": 6.8, "answered": 6.7},
        "requests": 20,
        "failed": 0,
        "window_s": 30.04,
        "ttft_ms": latency(22.4),
        "tpot_ms": latency(5.0),
        "chunk_gap_ms": latency(5.1, 12.25, "500 samples; p99 needs 662"),
        "e2e_ms": latency(12345.6),
        "send_lateness_ms": latency(0.06),
        "client_lag_ms": {"p50": 0.05, "p99": 0.4, "samples": 900, "reason": None},
        "clock": "kernel",
        "censored_share": 0.014,
        "arrivals": None,
        "prefix_hits": None,
        "load": {"synthetic": None},
        "energy": {"joules_per_1k_output_tokens": None, "reason": "no counter can be read"},
        "accounted": {"by_outcome": {"ok": 20}},
        "verdict": {"throughput": "valid", "tails": "too_short", "acceptance": None},
        "reason": f"tails: {FEW}",
    }  # fmt: skip
    return whole | changes


def shown(width: int = 80, **changes: Any) -> list[str]:
    console = Console(width=width, file=StringIO())
    console.print(load_table(document(**changes), width=width))
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_rates_come_first_and_the_verdict_last() -> None:
    lines = shown()
    assert lines[:3] == [
        "tiny at http://127.0.0.1:8000",
        "1,234.6 output tokens/s, 6.7 answers/s",
        "20 requests in 30.0 s, none failed",
    ]
    assert lines[-2:] == ["verdict: throughput valid, tails too_short", f"  tails: {FEW}"]


def test_energy_is_told_or_why_it_is_not() -> None:
    assert "  joules per token not measured, because no counter can be read" in shown()


def test_decimal_points_stand_below_one_another() -> None:
    rows = [
        line for line in shown() if line.startswith(("TTFT", "chunk gap", "E2E", "sent late", "read late"))
    ]
    assert len(rows) == 5
    assert len({line.index(".") for line in rows}) == 1
    assert "12,345.60" in rows[2]


@pytest.mark.parametrize(("width", "explained"), [(80, False), (120, True)])
def test_a_wide_terminal_gets_each_latency_explained(width: int, explained: bool) -> None:
    lines = shown(width)
    assert all(len(line) <= width for line in lines)
    assert any("intended send to the first token" in line for line in lines) is explained


def test_one_reason_is_given_once_with_the_names_that_it_is_for() -> None:
    lines = shown()
    assert lines.count(f"  TTFT, TPOT, E2E, sent late: {FEW}") == 1
    assert "  chunk gap: 500 samples; p99 needs 662" in lines


def test_long_reasons_are_wrapped_below_themselves() -> None:
    lines = shown(
        reason="other programs took 92% of the machine and its hypervisor 0%; window of 3.0 s, 25 s needed"
    )
    assert lines[-2].startswith("  other programs")
    assert lines[-1].startswith("    ")


def test_failures_arrivals_and_what_an_open_loop_offered_are_said() -> None:
    lines = shown(
        failed=3,
        requests_per_s={"offered": 7.0, "sent": 6.8, "answered": 6.7},
        accounted={"by_outcome": {"ok": 17, "timeout": 2, "http_error": 1}},
        arrivals={"sent": 19, "intended": 20, "largest_deviation": 0.05},
    )
    text = "\n".join(lines)
    assert "6.7 answers/s of 7.0 offered" in text
    assert "20 requests in 30.0 s, 3 failed" in text
    assert "  failures: timeout 2, http_error 1" in lines
    assert "19 of 20 intended arrivals were sent; at no moment were more than 5.0% of" in text


def test_what_the_server_does_not_state_is_not_a_zero() -> None:
    lines = shown(output_tokens_per_s=None, clock="user", censored_share=None)
    assert lines[1] == "output tokens not stated by the server, 6.7 answers/s"
    assert "  arrival times are the client's own: its lag is inside them" in lines

from dataclasses import replace
from typing import Any

import pytest

from accounting.verdicts import CellEvidence, Verdict, judge

GOOD = CellEvidence(
    window_s=25.1,
    streams=16,
    completions=120,
    requests=150,
    failed=0,
    reconciled=True,
    caches_reset=True,
    length_drift=0.01,
    drafts=1000.0,
)
SPOILS_ALL: list[tuple[dict[str, Any], Verdict]] = [
    ({"failed": 2}, Verdict.FAILED),
    ({"requests": 0}, Verdict.FAILED),
    ({"reconciled": False, "reconciliation_reason": "off by one"}, Verdict.UNRECONCILED),
    ({"caches_reset": False}, Verdict.CACHE_CONTAMINATED),
    ({"repeated_prompts": 1}, Verdict.CACHE_CONTAMINATED),
    ({"length_drift": -0.06}, Verdict.LENGTH_DRIFT),
    ({"declared_lengths": "3 answers ended early"}, Verdict.LENGTH_DRIFT),
]
SPOILS_TIME: list[tuple[dict[str, Any], Verdict]] = [
    ({"client": ("sent late",)}, Verdict.CLIENT_BOUND),
    ({"noise": "other programs"}, Verdict.NOISY_HOST),
    ({"late_edges": "read late"}, Verdict.NOISY_HOST),
    ({"saturation": "the queue grew"}, Verdict.SATURATED),
    ({"drift": ("TPOT drifts",)}, Verdict.DRIFTING),
    ({"window_s": 24.9}, Verdict.TOO_SHORT),
    ({"completions": 47}, Verdict.TOO_SHORT),
    ({"streams": None, "in_flight": 41.0}, Verdict.TOO_SHORT),
]


def test_good_evidence_is_valid_without_a_reason() -> None:
    verdict = judge(GOOD)
    assert (verdict.throughput, verdict.tails, verdict.acceptance) == (Verdict.VALID,) * 3
    assert verdict.reason == ""


@pytest.mark.parametrize(("fault", "expected"), SPOILS_ALL)
def test_what_was_not_the_work_asked_for_spoils_every_statistic(
    fault: dict[str, Any], expected: Verdict
) -> None:
    verdict = judge(replace(GOOD, **fault))
    assert (verdict.throughput, verdict.tails, verdict.acceptance) == (expected,) * 3
    assert verdict.reason


def test_a_window_that_was_read_too_late_to_have_requests_is_the_host_s_failure() -> None:
    verdict = judge(replace(GOOD, requests=0, window_s=0.1, late_edges="read late"))
    assert (verdict.throughput, verdict.tails, verdict.acceptance) == (Verdict.NOISY_HOST,) * 3
    assert verdict.reason.startswith("no request was sent in the window of 0.1 s; read late")


@pytest.mark.parametrize(("fault", "expected"), SPOILS_TIME)
def test_what_spoils_time_leaves_acceptance(fault: dict[str, Any], expected: Verdict) -> None:
    verdict = judge(replace(GOOD, **fault))
    assert (verdict.throughput, verdict.tails, verdict.acceptance) == (expected, expected, Verdict.VALID)
    assert verdict.reason


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"p95_reason": "19 samples; p95 needs 130"}, Verdict.TOO_SHORT),
        ({"client_tails": ("read late at p99",)}, Verdict.CLIENT_BOUND),
    ],
)
def test_what_spoils_the_tails_only(fault: dict[str, Any], expected: Verdict) -> None:
    verdict = judge(replace(GOOD, **fault))
    assert (verdict.throughput, verdict.tails, verdict.acceptance) == (Verdict.VALID, expected, Verdict.VALID)
    assert verdict.reason.startswith("tails: ")


def test_few_drafts_spoil_acceptance_only_and_none_have_no_verdict() -> None:
    few = judge(replace(GOOD, drafts=399.0))
    assert (few.throughput, few.tails, few.acceptance) == (Verdict.VALID, Verdict.VALID, Verdict.TOO_SHORT)
    assert "399 drafts, 400 needed" in few.reason
    assert judge(replace(GOOD, drafts=None)).acceptance is None


def test_an_open_loop_needs_as_many_answers_as_a_closed_one_with_as_many_in_flight() -> None:
    assert judge(replace(GOOD, streams=None, in_flight=40.0)).throughput is Verdict.VALID


def test_what_nobody_undertook_is_not_held_against_a_cell() -> None:
    assert judge(replace(GOOD, reconciled=None, caches_reset=None)).throughput is Verdict.VALID


def test_a_wrong_cell_is_not_called_short() -> None:
    """Short cells are pooled, so a wrong one must not hide behind its shortness; all findings are told."""
    verdict = judge(replace(GOOD, window_s=10.0, drift=("TPOT drifts",), noise="other programs"))
    assert verdict.throughput is Verdict.NOISY_HOST
    assert all(part in verdict.reason for part in ("other programs", "TPOT drifts", "window of 10.0 s"))

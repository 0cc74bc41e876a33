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
    reconciliation_reason="",
    caches_reset=True,
    repeated_prompts=0,
    median_send_lag_s=0.0001,
    length_drift=0.01,
    p95_reason="",
)


def test_good_evidence_is_valid_without_a_reason() -> None:
    verdict = judge(GOOD)
    assert (verdict.throughput, verdict.tails, verdict.reason) == (Verdict.VALID, Verdict.VALID, "")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"window_s": 24.9}, Verdict.TOO_SHORT),
        ({"completions": 47}, Verdict.TOO_SHORT),
        ({"failed": 2}, Verdict.FAILED),
        ({"requests": 0}, Verdict.FAILED),
        ({"reconciled": False, "reconciliation_reason": "off by one"}, Verdict.UNRECONCILED),
        ({"caches_reset": False}, Verdict.CACHE_CONTAMINATED),
        ({"repeated_prompts": 1}, Verdict.CACHE_CONTAMINATED),
        ({"median_send_lag_s": 0.006}, Verdict.CLIENT_BOUND),
        ({"length_drift": -0.06}, Verdict.LENGTH_DRIFT),
    ],
)
def test_each_fault_alone_voids_throughput_and_tails(fault: dict[str, Any], expected: Verdict) -> None:
    verdict = judge(replace(GOOD, **fault))
    assert verdict.throughput is expected
    assert verdict.tails is expected
    assert verdict.reason


def test_too_few_samples_void_the_tails_only() -> None:
    verdict = judge(replace(GOOD, p95_reason="19 samples; p95 needs 130"))
    assert verdict.throughput is Verdict.VALID
    assert verdict.tails is Verdict.TOO_SHORT
    assert "19 samples" in verdict.reason

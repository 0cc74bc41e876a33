"""Is a number fit to be compared? One verdict per statistic; only `valid` may win a comparison.

`judge` finds failed, unreconciled, cache_contaminated, client_bound, too_short and length_drift. Drift inside
the window, saturation and a noisy host have their words but are not judged yet: a valid cell may still be noisy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Why a statistic may or may not be trusted."""

    VALID = "valid"
    TOO_SHORT = "too_short"
    DRIFTING = "drifting"
    SATURATED = "saturated"
    CLIENT_BOUND = "client_bound"
    NOISY_HOST = "noisy_host"
    CACHE_CONTAMINATED = "cache_contaminated"
    UNRECONCILED = "unreconciled"
    LENGTH_DRIFT = "length_drift"
    FAILED = "failed"


#: Cells whose requests may be pooled over repeats: a short window is imprecise, not biased.
POOLABLE = frozenset({Verdict.VALID, Verdict.TOO_SHORT})

MINIMUM_WINDOW_S = 25.0
COMPLETIONS_PER_STREAM = 3
MAX_FAILED_SHARE = 0.01
MAX_MEDIAN_SEND_LAG_S = 0.005
MAX_LENGTH_DRIFT = 0.05


@dataclass(frozen=True, slots=True)
class CellEvidence:
    """What a verdict is judged from. Times in seconds, shares between 0 and 1."""

    window_s: float
    streams: int
    completions: int  # requests that ended inside the window
    requests: int  # requests sent inside the window
    failed: int
    reconciled: bool
    reconciliation_reason: str
    caches_reset: bool
    repeated_prompts: int
    median_send_lag_s: float | None
    length_drift: float | None  # mean output tokens against the baseline on the same prompts, as a share
    p95_reason: str  # why a p95 cannot be quoted, empty when it can


@dataclass(frozen=True, slots=True)
class CellVerdict:
    """The verdicts of one cell and the reasons, empty when all is valid."""

    throughput: Verdict
    tails: Verdict
    reason: str


def judge(evidence: CellEvidence, *, minimum_window_s: float = MINIMUM_WINDOW_S) -> CellVerdict:
    """Judge one cell. The first finding names the verdict; all findings are in the reason."""
    findings = [*_shared_findings(evidence), *_length_findings(evidence, minimum_window_s)]
    throughput = findings[0][0] if findings else Verdict.VALID
    tails_findings = list(findings)
    if evidence.p95_reason:
        tails_findings.append((Verdict.TOO_SHORT, f"tails: {evidence.p95_reason}"))
    tails = tails_findings[0][0] if tails_findings else Verdict.VALID
    return CellVerdict(throughput, tails, "; ".join(text for _, text in tails_findings))


def _shared_findings(e: CellEvidence) -> list[tuple[Verdict, str]]:
    found = []
    if e.requests == 0 or e.failed > MAX_FAILED_SHARE * e.requests:
        found.append((Verdict.FAILED, f"{e.failed} of {e.requests} requests failed"))
    if not e.reconciled:
        found.append((Verdict.UNRECONCILED, e.reconciliation_reason))
    if not e.caches_reset:
        found.append((Verdict.CACHE_CONTAMINATED, "the prefix cache was not reset before this cell"))
    if e.repeated_prompts:
        found.append(
            (Verdict.CACHE_CONTAMINATED, f"{e.repeated_prompts} requests repeated a prompt of this cell")
        )
    if e.median_send_lag_s is not None and e.median_send_lag_s > MAX_MEDIAN_SEND_LAG_S:
        lag_ms = e.median_send_lag_s * 1000
        found.append((Verdict.CLIENT_BOUND, f"the client sent {lag_ms:.1f} ms late in the median"))
    return found


def _length_findings(e: CellEvidence, minimum_window_s: float) -> list[tuple[Verdict, str]]:
    found = []
    if e.window_s < minimum_window_s:
        found.append((Verdict.TOO_SHORT, f"window of {e.window_s:.1f} s, {minimum_window_s:g} s needed"))
    needed = COMPLETIONS_PER_STREAM * e.streams
    if e.completions < needed:
        found.append((Verdict.TOO_SHORT, f"{e.completions} completions, {needed} needed"))
    if e.length_drift is not None and abs(e.length_drift) > MAX_LENGTH_DRIFT:
        found.append(
            (
                Verdict.LENGTH_DRIFT,
                f"answers to the same prompts are {e.length_drift:+.1%} longer than the baseline's",
            )
        )
    return found

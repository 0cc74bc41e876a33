"""Is a number fit to be compared? One verdict per statistic; only `valid` may win a comparison.

Statistics are judged apart, because what spoils one need not touch another: throughput (and cost), tails (latency
percentiles), acceptance (of drafted tokens; None where nothing is drafted). Every rule, its threshold and where that
comes from: docs/verdicts.md.
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
MAX_LENGTH_DRIFT = 0.05
#: A share near one half is then known to 5 points, if drafts were independent.
MINIMUM_DRAFTS = 400

Finding = tuple[Verdict, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEvidence:
    """What a verdict is judged from. Times in seconds, shares between 0 and 1.

    Findings of the specialised modules come as sentences: empty where nothing was found, or where it could not be
    judged. `reconciled` and `caches_reset` are None where nobody undertook either.
    """

    window_s: float
    streams: int | None = None  # closed loop
    offered_rate_per_s: float | None = None  # open loop
    in_flight: float | None = None  # mean requests in flight, what an open loop has for streams
    completions: int  # requests that ended inside the window
    requests: int  # requests sent inside the window
    failed: int
    reconciled: bool | None = None
    reconciliation_reason: str = ""
    caches_reset: bool | None = None
    repeated_prompts: int = 0
    warm_caches: tuple[str, ...] = ()  # the server's caches knew the work, or can have known it
    length_drift: float | None = (
        None  # mean output tokens against the baseline on the same prompts, as a share
    )
    declared_lengths: str = ""  # answers of another length than declared
    client: tuple[str, ...] = ()  # the load client was too slow for throughput and tails
    client_tails: tuple[str, ...] = ()  # ... for the tails only
    noise: str = ""  # the host did other things
    late_edges: str = ""  # the counters at the window's edges were read too late
    saturation: str = ""  # the server did not keep up with the arrivals
    drift: tuple[str, ...] = ()  # throughput or TPOT was not steady inside the window
    drafts: float | None = None  # None where the server does not speculate or does not say
    p95_reason: str = ""  # why a p95 cannot be quoted, empty when it can


@dataclass(frozen=True, slots=True)
class CellVerdict:
    """The verdicts of one cell and the reasons, empty when all is valid. `acceptance` is None without drafts."""

    throughput: Verdict
    tails: Verdict
    acceptance: Verdict | None
    reason: str


def judge(evidence: CellEvidence, *, minimum_window_s: float = MINIMUM_WINDOW_S) -> CellVerdict:
    """Judge one cell. The first finding names the verdict; all findings are in the reason."""
    content = _content_findings(evidence)
    speed = [*content, *_speed_findings(evidence), *_size_findings(evidence, minimum_window_s)]
    tails_only = [(Verdict.CLIENT_BOUND, f"tails: {text}") for text in evidence.client_tails]
    if evidence.p95_reason:
        tails_only.append((Verdict.TOO_SHORT, f"tails: {evidence.p95_reason}"))
    acceptance_only = []
    if evidence.drafts is not None and evidence.drafts < MINIMUM_DRAFTS:
        few = f"acceptance: {evidence.drafts:.0f} drafts, {MINIMUM_DRAFTS} needed"
        acceptance_only.append((Verdict.TOO_SHORT, few))
    return CellVerdict(
        throughput=_first(speed),
        tails=_first([*speed, *tails_only]),
        acceptance=None if evidence.drafts is None else _first([*content, *acceptance_only]),
        reason="; ".join(text for _, text in (*speed, *tails_only, *acceptance_only)),
    )


def _first(findings: list[Finding]) -> Verdict:
    return findings[0][0] if findings else Verdict.VALID


def _content_findings(e: CellEvidence) -> list[Finding]:
    """What spoils every statistic: it was not the work that was asked for."""
    found = []
    if e.requests == 0:
        # Where the window was read too late there was none: that says nothing of the server.
        verdict = Verdict.NOISY_HOST if e.late_edges else Verdict.FAILED
        found.append((verdict, f"no request was sent in the window of {e.window_s:.1f} s"))
    elif e.failed > MAX_FAILED_SHARE * e.requests:
        found.append((Verdict.FAILED, f"{e.failed} of {e.requests} requests failed"))
    if e.reconciled is False:
        found.append((Verdict.UNRECONCILED, e.reconciliation_reason))
    if e.caches_reset is False:
        found.append((Verdict.CACHE_CONTAMINATED, "the prefix cache was not reset before this cell"))
    if e.repeated_prompts:
        found.append(
            (Verdict.CACHE_CONTAMINATED, f"{e.repeated_prompts} requests repeated a prompt of this cell")
        )
    found += [(Verdict.CACHE_CONTAMINATED, text) for text in e.warm_caches]
    if e.declared_lengths:
        found.append((Verdict.LENGTH_DRIFT, e.declared_lengths))
    if e.length_drift is not None and abs(e.length_drift) > MAX_LENGTH_DRIFT:
        found.append(
            (
                Verdict.LENGTH_DRIFT,
                f"answers to the same prompts are {e.length_drift:+.1%} longer than the baseline's",
            )
        )
    return found


def _speed_findings(e: CellEvidence) -> list[Finding]:
    """What spoils anything with time in it."""
    found = [(Verdict.CLIENT_BOUND, text) for text in e.client]
    found += [(Verdict.NOISY_HOST, text) for text in (e.late_edges, e.noise) if text]
    if e.saturation:
        found.append((Verdict.SATURATED, e.saturation))
    found += [(Verdict.DRIFTING, text) for text in e.drift]
    return found


def _size_findings(e: CellEvidence, minimum_window_s: float) -> list[Finding]:
    """Last, because too short means imprecise, not wrong: such cells may be pooled."""
    found = []
    if e.window_s < minimum_window_s:
        found.append((Verdict.TOO_SHORT, f"window of {e.window_s:.1f} s, {minimum_window_s:g} s needed"))
    at_once = e.streams if e.streams is not None else e.in_flight
    needed = COMPLETIONS_PER_STREAM * (at_once or 0)
    if e.completions < needed:
        found.append((Verdict.TOO_SHORT, f"{e.completions} completions, {needed:.0f} needed"))
    return found

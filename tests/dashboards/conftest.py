"""A report's data as a run would give it: realistic sizes, seeded noise, one gap and one bad cell."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest

from dashboards.number_format import loads
from dashboards.report_data import (
    Cell,
    Comparison,
    Group,
    LatencyRatio,
    Load,
    Price,
    Probe,
    ReportData,
    ResolvedDifference,
    Samples,
    Search,
    Slo,
)

ARMS = ("plain", "ngram", "draft-0.5b", "suffix", "eagle3")
WORKLOADS = ("chat", "code-edit", "summaries")
STREAMS = (1, 8, 32, 2, 16, 64)
USD_PER_HOUR = 1.2
NO_SPECULATION = "the server does not speculate"


def _speed(arm: int, workload: int, streams: int) -> float:
    plain = 42.0 * streams / (1 + streams / 24)
    gain = 1 + 0.22 * arm * (1 + 0.5 * workload) / (1 + streams / 9) - 0.05 * arm
    return plain * (gain if arm else 1.0)


def _usd_per_1k(tokens_per_s: float) -> float:
    return USD_PER_HOUR / 3600 / tokens_per_s * 1000


def _samples(dice: random.Random, streams: int, speed: float, count: int) -> Samples:
    tpot = [dice.lognormvariate(0, 0.12) * streams / speed for _ in range(count)]
    ttft = [dice.lognormvariate(0, 0.5) * 0.04 * (1 + streams / 10) for _ in range(count)]
    e2e = [first + 180 * dice.lognormvariate(0, 0.3) * each for first, each in zip(ttft, tpot, strict=True)]
    gaps = [dice.lognormvariate(0, 0.35) * 1.6 * each for each in tpot for _ in range(4)]
    return Samples(ttft_s=ttft, tpot_s=tpot, e2e_s=e2e, chunk_gap_s=gaps)


def _group(dice: random.Random, arm: int, workload: int, streams: int, count: int) -> Group:
    speed = _speed(arm, workload, streams)
    samples = _samples(dice, streams, speed, count)
    attained = max(0.0, min(1.0, 1.02 - streams / 400 + 0.002 * arm))
    accepted = [0.82**position * (0.55 + 0.09 * arm) for position in range(1, 1 + arm + 2)] if arm else []
    reasons = {"ttft_p95_s": "a 95th percentile needs 93 samples, there are 60"}
    if not arm:
        reasons |= dict.fromkeys(("acceptance_length", "acceptance_rate"), NO_SPECULATION)
    return Group(
        ARMS[arm], WORKLOADS[workload], loads(streams, "streams"), streams, speed, _usd_per_1k(speed), _usd_per_1k(speed * attained),
        attained, sorted(samples.ttft_s)[count // 2], None, sorted(samples.tpot_s)[count // 2],
        sorted(samples.tpot_s)[count * 95 // 100], 1 + sum(accepted) if arm else None,
        sum(accepted) / len(accepted) if arm else None, 1 + 0.9 * sum(accepted), count, 0,
        acceptance_by_position=accepted, samples=samples, reasons=reasons,
    )  # fmt: skip


def _cells(dice: random.Random, group: Group, repeats: int) -> list[Cell]:
    cells = []
    for repeat in range(1, repeats + 1):
        speed = (group.output_tokens_per_s or 0) * dice.uniform(0.96, 1.04)
        bad = (group.arm, group.at, repeat) == ("ngram", 1, 2)
        cells.append(
            Cell(
                group.arm, group.workload, group.load, group.at, repeat, round(speed * 60), 60.0, speed,
                _usd_per_1k(speed), None if bad else _usd_per_1k(speed * (group.slo_attainment or 1)),
                group.requests // repeats, int(bad), True, "too_short" if bad else "valid", "valid",
                "the window holds 21 s, 25 s are needed" if bad else "",
            )
        )  # fmt: skip
    return cells


def _comparison(dice: random.Random, arm: int, workload: int, streams: int, pairs: int) -> Comparison:
    speedup = _speed(arm, workload, streams) / _speed(0, workload, streams)
    ratios = [dice.uniform(0.97, 1.03) / speedup for _ in range(pairs)]
    enough = pairs >= 4
    interval = (min(ratios), max(ratios)) if enough else None
    word = "too few blocks"
    if interval:
        word = "cheaper" if interval[1] < 1 else "dearer" if interval[0] > 1 else "cannot tell"
    return Comparison(
        ARMS[arm], WORKLOADS[workload], loads(streams, "streams"), 1 / speedup, speedup, ratios, interval,
        word,  # type: ignore[arg-type]
        "" if enough else f"{pairs} pairs of blocks; 4 are needed before a test means anything",
    )  # fmt: skip


def make_report(
    arms: int = 2, workloads: int = 2, levels: int = 2, repeats: int = 2, samples: int = 60, **changes: Any
) -> ReportData:
    """A report of that many arms, workloads, loads (of streams) and repeats; `changes` replace fields."""
    dice = random.Random(7)
    streams = tuple(sorted(STREAMS[:levels]))
    keys = [(a, w, s) for w in range(workloads) for s in streams for a in range(arms)]
    groups = [_group(dice, *key, samples) for key in keys]
    fields: dict[str, Any] = {
        "title": "What 1,000 tokens cost on one H200",
        "description": "Qwen2.5 7B Instruct, greedy, answers of up to 256 tokens.",
        "created_at": "2026-03-04T15:20:00+00:00",
        "headline": "On chat at 1 stream, ngram costs 0.85× what plain does; at 8 streams nothing is saved.",
        "notice": "Two repeats are a look, not a proof.",
        "price": Price(USD_PER_HOUR, "list price of the provider", "2026-03-01"),
        "slo": Slo(ttft_s=0.1, tpot_s=0.033, attainment_floor=0.95),
        "baseline": "plain",
        "arms": ARMS[:arms],
        "workloads": WORKLOADS[:workloads],
        "loads": [Load(loads(each, "streams"), "streams", each) for each in streams],
        "groups": groups,
        "cells": [cell for group in groups for cell in _cells(dice, group, repeats)],
        "comparisons": [_comparison(dice, *key, repeats) for key in keys if key[0]],
        "resolved_differences": [
            ResolvedDifference(arm, "speculative_config.method", "none", arm) for arm in ARMS[1:arms]
        ],
        "provenance": [("vLLM", "0.32.0"), ("GPU", "NVIDIA H200, driver 570.86"), ("Kernel", "6.8.0")],
        "commands": [
            (arm, f"vllm serve model --port 8100 --seed 0 --served-as {arm}") for arm in ARMS[:arms]
        ],
        "notes": ["Prompts were sent in the same order to every arm."],
    }
    return ReportData(**{**fields, **changes})


@pytest.fixture
def report() -> Callable[..., ReportData]:
    """Builds example data; keywords set its size or replace fields."""
    return make_report


@pytest.fixture
def rate_report() -> ReportData:
    """Example data at offered rates: cost is equal by construction, latency is compared."""
    data = make_report()
    names = {"1 stream": Load("0.5 requests/s", "rate", 0.5), "8 streams": Load("2 requests/s", "rate", 2.0)}

    def moved(row: Any, **changes: Any) -> Any:
        return dataclasses.replace(row, load=names[row.load].label, **changes)

    faster = LatencyRatio("TTFT p50 (s)", 0.81, (0.74, 0.88), "faster")
    unknown = LatencyRatio("TPOT p95 (s)", None, None, "too few blocks")
    return dataclasses.replace(
        data,
        loads=list(names.values()),
        groups=[moved(g, at=names[g.load].value) for g in data.groups],
        cells=[moved(c, at=names[c.load].value) for c in data.cells],
        comparisons=[
            moved(
                c, word="equal by construction", cost_ratio=None, pair_ratios=(), interval=None,
                latencies=(faster, unknown),
            )
            for c in data.comparisons
        ],
    )  # fmt: skip


STEPS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 24.0, 20.0, 28.0)
FLOOR = 0.95


def _probe(at: float, knee: float, requests: int = 180) -> Probe:
    met = 1 / (1 + (at / knee) ** 6)
    if at == 28:
        return Probe(at, 40, None, None, None, None, "failed", "failed", "unjudged", "the server ended")
    half = 1.96 * (max(met * (1 - met), 0.004) / requests) ** 0.5
    interval = (max(0.0, met - half), min(1.0, met + half))
    speed = 42 * at / (1 + at / 24)
    decision = "meets" if met >= FLOOR else "misses"
    verdict = "too_short" if at == 24 else "valid"
    reason = f"{met:.1%} met every limit, {FLOOR:.0%} are asked"
    if verdict == "too_short":
        decision, reason = "unjudged", "the window holds 21 s, 25 s are needed"
    return Probe(
        at, requests, met, interval, speed, _usd_per_1k(speed * met), verdict, "valid", decision, reason  # type: ignore[arg-type]
    )  # fmt: skip


def _search(arm: str, workload: str, knee: float) -> Search:
    probes = [_probe(at, knee) for at in STEPS]
    met = [probe.at for probe in probes if probe.decision == "meets"]
    if not met:
        return Search(
            arm, workload, "streams", probes[:1], None,
            f"No load meets the SLO: even at 1 stream {probes[0].attainment:.1%} of requests met every limit.",
            FLOOR, nearest_slo="TTFT ≤ 100 ms, TPOT ≤ 52 ms, which 95% of requests met at 1 stream",
        )  # fmt: skip
    best = max(met)
    return Search(
        arm, workload, "streams", probes, best,
        f"{loads(best, 'streams')} are the highest load that meets the SLO; the next that was judged misses it.",
        FLOOR, confirmed="the floor held in 4 of 4 blocks, 97.2% of requests met every limit",
    )  # fmt: skip


def make_capacity_report(**changes: Any) -> ReportData:
    """A capacity experiment: two arms, two workloads; on one of them an arm has no capacity."""
    dice = random.Random(11)
    knees = {
        ("plain", "chat"): 14,
        ("ngram", "chat"): 36,
        ("plain", "code-edit"): 21,
        ("ngram", "code-edit"): 0.8,
    }
    searches = {key: _search(*key, knee) for key, knee in knees.items()}
    groups = {
        key: dataclasses.replace(
            _group(dice, ARMS.index(key[0]), WORKLOADS.index(key[1]), int(search.chosen), 60), load="capacity"
        )
        for key, search in searches.items()
        if search.chosen
    }
    plain, ngram = (groups[arm, "chat"] for arm in ("plain", "ngram"))
    ratio = (ngram.usd_per_1k_slo_output_tokens or 0) / (plain.usd_per_1k_slo_output_tokens or 1)
    speedup = (ngram.output_tokens_per_s or 0) / (plain.output_tokens_per_s or 1)
    pairs = [ratio * dice.uniform(0.97, 1.03) for _ in range(4)]
    fields: dict[str, Any] = {
        "headline": "On chat ngram carries 20 streams within the SLO, plain 8; on code-edit ngram carries none.",
        "loads": [Load("capacity", "streams", None)],
        "groups": list(groups.values()),
        "cells": [cell for group in groups.values() for cell in _cells(dice, group, 4)],
        "comparisons": [
            Comparison(
                "ngram", "chat", "capacity", ratio, speedup, pairs, (min(pairs), max(pairs)), "cheaper",
                metric="$ per 1k SLO output tokens",
            )
        ],
        "searches": list(searches.values()),
    }  # fmt: skip
    return make_report(**{**fields, **changes})


@pytest.fixture
def capacity_report() -> Callable[..., ReportData]:
    """Builds the example of a capacity experiment; keywords replace fields."""
    return make_capacity_report

"""Achieved against implied prefix hits: which requests, which counters, and what is said when one is missing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from accounting import metric_names
from accounting.counters import CounterChange
from accounting.record_examples import record
from accounting.records import Outcome, Phase, RequestRecord
from loadtest.workloads import Split, Workload, load_workload
from workbench.achieved_hits import achieved_hits
from workbench.cell_data import CellData
from workbench.kv_blocks import KvBlocks

IDS = ([0, 1, 2], [0, 1, 3], [4], [0, 1, 2, 5])


class _Cell:
    """The three things that are read of a cell."""

    def __init__(self, records: list[RequestRecord], change: CounterChange | None, error: str = "") -> None:
        self.records, self.idle_to_idle, self.metrics_error = records, change, error


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    """Four prompts of blocks of 8 tokens, whose last block is whole."""
    path = tmp_path / "trace.jsonl"
    lines = [
        {"timestamp": 1000 * n, "input_length": 512 * len(ids), "output_length": 1, "hash_ids": ids}
        for n, ids in enumerate(IDS)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return load_workload(f"mooncake:{path}?block=8", seed=1)


def _sent(workload: Workload, split: Split = Split.MEASURED) -> list[RequestRecord]:
    phase = Phase.MEASURED if split is Split.MEASURED else Phase.WARM_UP
    return [
        replace(record([(0.1, 1)], phase=phase), prompt_id=prompt.prompt_id, sent_s=100.0 + number)
        for number, prompt in enumerate(workload.of(split)[:4])
    ]


def _counters(queries: float, hits: float) -> CounterChange:
    values = {metric_names.PREFIX_CACHE_QUERIES: queries, metric_names.PREFIX_CACHE_HITS: hits}
    return CounterChange(1.0, 0.0, values)


def _hits(workload: Workload, cell: _Cell, kv: KvBlocks) -> dict[str, Any]:
    found = achieved_hits(workload, cast(CellData, cell), kv)
    assert found is not None
    return found


def test_both_are_in_tokens_and_in_the_order_of_sending(workload: Workload) -> None:
    """24 + 24 + 8 + 32 tokens; the second finds 16, the fourth 24. Records come in the order of ending."""
    hits = _hits(workload, _Cell(_sent(workload)[::-1], _counters(88, 40)), KvBlocks(8, 100))
    assert hits["prompt_tokens"] == hits["queried_tokens"] == 88
    assert hits["hit_tokens"] == hits["implied_hit_tokens"] == hits["implied_at_capacity_hit_tokens"] == 40
    assert hits["achieved"] == hits["implied"] == hits["implied_at_capacity"] == pytest.approx(40 / 88)
    assert hits["reason"] is None


def test_a_small_cache_is_told_apart_from_an_endless_one(workload: Workload) -> None:
    hits = _hits(workload, _Cell(_sent(workload), _counters(88, 32)), KvBlocks(8, 4))
    assert hits["implied_hit_tokens"] == 40
    assert hits["implied_at_capacity_hit_tokens"] == 32, "the fourth finds two of its three"


def test_warm_up_counts_on_both_sides_and_is_named(workload: Workload) -> None:
    """Warm-up prompts have the same lengths and sharing, and no block of a measured one."""
    sent = _sent(workload, Split.WARM_UP) + [
        replace(r, sent_s=200.0 + n) for n, r in enumerate(_sent(workload))
    ]
    hits = _hits(workload, _Cell(sent, _counters(176, 80)), KvBlocks(8, 100))
    assert (hits["requests"], hits["warm_up_requests"], hits["prompt_tokens"]) == (8, 4, 176)
    assert hits["implied_hit_tokens"] == 80


def test_what_was_never_sent_is_not_implied(workload: Workload) -> None:
    first, second, *rest = _sent(workload)
    unsent = replace(first, sent_s=None, outcome=Outcome.CONNECTION)
    hits = _hits(workload, _Cell([unsent, second, *rest], _counters(64, 16)), KvBlocks(8, 100))
    assert hits["requests"] == 3
    assert hits["implied_hit_tokens"] == 16, "only the fourth finds anything: the second's first two blocks"


@pytest.mark.parametrize(
    ("kv", "reason"),
    [
        (KvBlocks(reason="it does not say"), "it does not say"),
        (KvBlocks(8, 100, prefix_caching=False), "the server's prefix cache is off"),
    ],
)
def test_nothing_is_implied_of_a_cache_that_is_unknown_or_off(
    workload: Workload, kv: KvBlocks, reason: str
) -> None:
    hits = _hits(workload, _Cell(_sent(workload), _counters(88, 40)), kv)
    assert (hits["implied"], hits["implied_at_capacity"], hits["reason"]) == (None, None, reason)
    assert hits["achieved"] is not None


def test_a_cache_too_small_for_a_prompt_has_no_model(workload: Workload) -> None:
    hits = _hits(workload, _Cell(_sent(workload), _counters(88, 40)), KvBlocks(8, 2))
    assert hits["implied"] is not None
    assert hits["implied_at_capacity"] is None
    assert "needs 3 blocks" in hits["reason"]


def test_without_counters_nothing_was_achieved(workload: Workload) -> None:
    hits = _hits(workload, _Cell(_sent(workload), None, "no /metrics page"), KvBlocks(8, 100))
    assert (hits["achieved"], hits["hit_tokens"], hits["reason"]) == (None, None, "no /metrics page")
    assert hits["implied_hit_tokens"] == 40


def test_text_has_no_exact_tokens() -> None:
    cell = cast(CellData, _Cell([], _counters(1, 0)))
    assert achieved_hits(load_workload("chat", seed=1), cell, KvBlocks(8, 100)) is None

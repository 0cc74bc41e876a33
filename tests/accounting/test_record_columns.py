"""What is computed over columns is what the formulas give request by request, to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accounting import latency_columns
from accounting.client_lag import one_clock
from accounting.evidence import sent_inside
from accounting.record_columns import UNKNOWN, RecordColumns, as_columns, concatenated, total
from accounting.record_examples import BLANK
from accounting.records import Chunks, Outcome, Phase, RequestRecord
from accounting.slo import Slo, attainment
from accounting.stated_tokens import tokens_between
from accounting.window_series import window_series
from tests.accounting import one_by_one

EDGES_S = np.linspace(101.0, 104.0, 4)


def mixed(seed: int, count: int = 60) -> list[RequestRecord]:
    """Requests of every kind: answered, failed, silent, censored, without events, by either clock."""
    dice = np.random.default_rng(seed)
    return [_drawn(dice, number) for number in range(count)]


def _drawn(dice: np.random.Generator, number: int) -> RequestRecord:
    sent_s = float(100 + dice.uniform(0, 4))
    events = int(dice.integers(0, 9))
    at_s = sent_s + np.cumsum(dice.exponential(0.15, events))
    tokens = np.cumsum(dice.integers(1, 5, events))
    if dice.random() < 0.2:
        tokens[dice.random(events) < 0.5] = -1
    lag_s = np.where(dice.random(events) < 0.3, np.nan, dice.exponential(0.001, events)).astype(np.float32)
    kind = dice.random()
    return replace(
        BLANK,
        request_id=f"{number:03}",
        prompt_id=f"p{number % 7}",
        phase=Phase.WARM_UP if dice.random() < 0.1 else Phase.MEASURED,
        outcome=Outcome.OK if kind < 0.8 else Outcome.TRUNCATED if kind < 0.9 else Outcome.CONNECTION,
        http_status=None if kind >= 0.9 else 200,
        intended_send_s=sent_s,
        sent_s=None if dice.random() < 0.05 else sent_s + float(dice.exponential(0.001)),
        end_s=float(at_s[-1]) if events else sent_s + 0.5,
        first_text_s=float(at_s[0]) if events and dice.random() < 0.9 else None,
        first_text_censored=bool(dice.random() < 0.1),
        completion_tokens=None if dice.random() < 0.1 else int(abs(tokens).max(initial=0)),
        expected_tokens=None if dice.random() < 0.5 else 12,
        clock="kernel" if dice.random() < 0.7 else "user",
        chunks=Chunks(at_s, tokens.astype(np.int64), dice.random(events) < 0.2, lag_s),
    )


def same(columns: np.ndarray, rows: list[float | None]) -> bool:
    """Equal to the bit; NaN where there is None."""
    return np.array_equal(columns, np.array([np.nan if v is None else v for v in rows]), equal_nan=True)


@pytest.mark.parametrize("seed", range(20))
def test_every_formula_is_the_same_request_by_request(seed: int) -> None:
    records = mixed(seed)
    columns = as_columns(records)
    assert same(latency_columns.ttfts_s(columns), [one_by_one.ttft_s(r) for r in records])
    assert same(latency_columns.tpots_s(columns), [one_by_one.tpot_s(r) for r in records])
    assert same(latency_columns.e2es_s(columns), [one_by_one.e2e_s(r) for r in records])
    assert latency_columns.gaps_s(columns).tolist() == [g for r in records for g in one_by_one.gaps_s(r)]
    slo = Slo(ttft_s=0.2, tpot_s=0.1, e2e_s=1.0)
    assert slo.met(records).tolist() == [one_by_one.met(slo, r) for r in records]
    assert attainment(records, slo).requests.value == np.mean([one_by_one.met(slo, r) for r in records])
    assert tokens_between(records, 101.0, 103.0) == one_by_one.tokens_between(records, 101.0, 103.0)


@pytest.mark.parametrize("seed", range(20))
def test_sums_over_bins_are_added_up_in_the_same_order(seed: int) -> None:
    records = mixed(seed)
    series = window_series(records, EDGES_S)
    tokens, tpot_s = one_by_one.token_series(records, EDGES_S)
    assert (series.tokens_per_s * np.diff(EDGES_S)).tolist() == tokens.tolist()
    assert np.array_equal(series.tpot_s, tpot_s, equal_nan=True)


@pytest.mark.parametrize("seed", range(5))
def test_a_part_of_the_columns_is_the_columns_of_the_part(seed: int) -> None:
    records = mixed(seed)
    columns = as_columns(records)
    kept = [r for r in records if r.ok]
    assert equal(columns.take(columns.ok), as_columns(kept))
    assert equal(columns.take(np.arange(5, 30)), as_columns(records[5:30])), "neighbours are views"
    order = np.argsort(columns.intended_send_s, kind="stable")
    assert equal(columns.take(order), as_columns(sorted(records, key=lambda r: r.intended_send_s)))
    assert equal(concatenated([as_columns(records[:20]), as_columns(records[20:])]), columns)
    assert equal(columns.take(np.zeros(len(records), bool)), as_columns([]))
    assert equal(concatenated([]), as_columns([]))
    assert equal(one_clock(records)[1], as_columns(one_by_one.one_clock(records)))
    inside = [r for r in records if r.phase is Phase.MEASURED and 101.0 <= r.intended_send_s < 103.0]
    assert equal(sent_inside(records, 101.0, 103.0), as_columns(inside))


def equal(one: RecordColumns, other: RecordColumns) -> bool:
    names = [name for name in RecordColumns.__slots__ if name != "events"]
    floats = {"intended_send_s", "sent_s", "end_s", "first_text_s"}
    return one.events == other.events and all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name in floats) for name in names
    )


def test_unknown_counts_are_no_zeros_and_sums_are_exact() -> None:
    counts = np.array([UNKNOWN, 2**62, 2**62, 2**62], dtype=np.int64)
    assert total(counts) == 3 * 2**62
    assert as_columns([replace(BLANK, prompt_tokens=None)]).prompt_tokens.tolist() == [UNKNOWN]

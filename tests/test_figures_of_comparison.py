"""The commands that say how far the comparison can be trusted: their arithmetic, on made-up runs."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from accounting import metric_names as names
from accounting.errors import RunError
from benchmarks import (
    block_noise,
    fake_arms,
    false_alarms,
    million_records,
    planted_slowdown,
    simulated_arms,
)
from benchmarks.sleeping_proposer import PlantedSlowdown, SleepingProposer
from workbench.experiment import load_experiment, parse_experiment
from workbench.plan import make_plan
from workbench.run_command import evaluate
from workbench.run_directory import RunDirectory, write_json

BLOCK_SD, SECOND_SD, SECONDS = 0.05, 0.1, 25
RUN = """
name: noisy
server: {{model: fake-model, engine: {{device: fake}}}}
arms: {{one: {{}}, other: {{}}}}
workloads: [chat]
loads: {{streams: [2]}}
repeats: {repeats}
price: {{usd_per_hour: 1.0, source: declared for a test, as_of: 2026-11-26}}
"""


def a_run(
    path: Path, *, repeats: int, seed: int = 1, slower: float = 0.0, verdict: str = "valid"
) -> RunDirectory:
    """A finished run whose blocks and seconds vary by known amounts; arm `other` is `slower` by a share."""
    dice = np.random.default_rng(seed)
    text = RUN.format(repeats=repeats)
    plan = make_plan(parse_experiment(text, origin="test"))
    provenance = {
        "started_at": "2026-11-26",
        "hardware": {"usable_cpus": 2, "cpu": "C", "memory_bytes": 2**30},
    }
    run = RunDirectory.create(path, text, plan, provenance)
    cells, costs = [], []
    for block in plan.blocks:
        directory = run.next_attempt(block)
        directory.write_status("finished")
        (cell,) = block.cells
        speed = 100 * math.exp(dice.normal(0, BLOCK_SD)) / (1 + slower * (block.arm == "other"))
        rate = _write_seconds(directory.cell(cell), speed * np.exp(dice.normal(0, SECOND_SD, SECONDS)))
        place = {
            "arm": block.arm,
            "workload": "chat",
            "streams": 2,
            "repeat": block.repeat,
            "block": block.block_id,
        }
        cells.append(place | {"output_tokens_per_s": rate, "verdict": {"throughput": verdict}})
        costs.append(place | {"usd_per_1k_output_tokens": 1 / rate})
    write_json(run.path / "measures.json", {"cells": cells})
    write_json(run.path / "cost.json", {"cells": costs})
    return run


def _write_seconds(cell: Any, rates: np.ndarray) -> float:
    """Counter samples of these seconds in a window, and others outside it; returns the window's tokens/s."""
    cell.path.mkdir(parents=True)
    counts = np.concatenate(([0.0, 500.0], 500 + np.cumsum(rates), [9e9]))
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT unnest($at_s) AS at_s, $name AS name, unnest($value) AS value) TO '{cell.counters}' "
            "(FORMAT parquet)",
            {
                "at_s": np.arange(float(len(counts))).tolist(),
                "name": names.GENERATION_TOKENS,
                "value": counts.tolist(),
            },
        )
    edges = {"window_start": {"at_s": 0.9}, "window_end": {"at_s": len(rates) + 1.1}}
    write_json(cell.facts, {"edges": edges})
    return float(rates.mean())


def test_noise_is_split_into_what_lies_between_blocks_and_within(tmp_path: Path) -> None:
    document = block_noise.noise_document([a_run(tmp_path / "run", repeats=30)], fake=True)
    found = document["pooled"]
    assert document["blocks"] == 60
    assert found["second_sd"] == pytest.approx(SECOND_SD, rel=0.1)
    assert found["between_sd"] == pytest.approx(BLOCK_SD, rel=0.25)
    assert found["within_sd"] == pytest.approx(SECOND_SD / math.sqrt(SECONDS), rel=0.2)
    assert found["pair_sd"] == pytest.approx(math.sqrt(2 * (BLOCK_SD**2 + SECOND_SD**2 / SECONDS)), rel=0.2)
    assert found["pair_to_block_variance"] == pytest.approx(1.0, abs=0.4), "these pairs share nothing"
    assert found["pairs"] == len(found["pair_noise"]) == 30


def test_noise_of_arms_that_differ_is_about_their_mean() -> None:
    logs = [0.3, 0.4, 0.5]
    centred = block_noise.pair_noise(logs, same=False)
    assert sum(centred) == pytest.approx(0)
    assert sum(v * v for v in centred) / 3 == pytest.approx(np.var(logs, ddof=1)), (
        "no degree of freedom is lost"
    )
    assert block_noise.pair_noise(logs, same=True) == logs


def test_few_blocks_cells_that_are_not_valid_and_fake_servers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="6 blocks have a valid cell; 8 are needed"):
        block_noise.noise_document([a_run(tmp_path / "few", repeats=3)], fake=True)
    invalid = a_run(tmp_path / "invalid", repeats=5, verdict="noisy_host")
    with pytest.raises(RunError, match=r"0 blocks .*noisy_host.: 10"):
        block_noise.noise_document([invalid], fake=True)
    with pytest.raises(RunError, match="fake server"):
        block_noise.noise_document([invalid])


def test_simulated_false_alarms_keep_to_the_band_and_a_wrong_test_would_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulated_arms, "PAIR_COUNTS", (5,))
    noise = np.random.default_rng(3).normal(0, 0.03, 40).tolist()
    rows = simulated_arms.false_alarm_rows(noise)
    assert [row["noise"] for row in rows] == ["normal", "resampled"]
    assert all(row["held"] for row in rows)
    assert rows[0]["inside"]
    one_sided = SimpleNamespace(word=simulated_arms.Word.DEARER)
    monkeypatch.setattr(simulated_arms, "compare_costs", lambda _ratios: one_sided)
    assert not simulated_arms.false_alarm_rows(noise)[0]["held"]


def test_the_pairs_that_a_pilot_asks_for_find_the_slowdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_arms, "TRIES", 300)
    noise = np.random.default_rng(3).normal(0, 0.03, 30).tolist()
    by_effect = {row["slowdown"]: row for row in simulated_arms.power_rows(noise)}
    assert by_effect[0.10]["asked"] < by_effect[0.05]["asked"] < by_effect[0.02]["asked"]
    assert all(row["held"] for row in by_effect.values())
    points = simulated_arms.curve(noise)
    assert points[0]["normal"] < 0.5 < points[-1]["normal"]
    assert all(abs(point["normal"] - point["expected"]) < 0.1 for point in points)


def test_the_quick_word_is_the_comparison_s() -> None:
    for seed in range(50):
        logs = np.random.default_rng(seed).normal(0.02, 0.02, 6)
        assert simulated_arms.word_of(logs) is simulated_arms.compare_costs(np.exp(logs).tolist()).word


def test_as_many_alarms_are_allowed_as_stated() -> None:
    assert (false_alarms.alarms_allowed(10), false_alarms.alarms_allowed(50)) == (3, 7)


def test_fake_arms_vary_as_the_recorded_pairs() -> None:
    pooled = {"pair_sd": 0.05, "within_sd": 0.02, "second_sd": 0.1}
    arms = false_alarms.fake_arms_of(pooled, repeats=5)
    assert 2 * (arms.block_noise**2 + 0.02**2) == pytest.approx(0.05**2)
    experiment = parse_experiment(arms.experiment(3), origin="test")
    assert (experiment.repeats, experiment.seed) == (5, 3)
    assert f"--block-noise {arms.block_noise:.6f} --step-noise 0.1" in str(experiment.server), "0.02 sqrt(25)"
    wide = false_alarms.fake_arms_of(pooled | {"within_sd": 0.5}, repeats=5)
    assert (wide.block_noise, wide.step_noise / 5) == pytest.approx((0, 0.05 / math.sqrt(2)))
    assert experiment.window.minimum_s >= 25


def test_comparisons_that_could_not_be_judged_are_counted_apart(tmp_path: Path) -> None:
    words = ["cheaper", "too few blocks", "cannot tell", "cannot tell"]  # three judged take four runs
    for number, word in enumerate(words, 1):
        run = tmp_path / f"{number:03}"
        run.mkdir()
        (run / "comparison.json").write_text(
            json.dumps({"comparisons": [{"word": word, "pair_ratios": [1.0]}]})
        )
        cells = [{"verdict": {"throughput": "valid"}}, {"verdict": {"throughput": "noisy_host"}}]
        (run / "measures.json").write_text(json.dumps({"cells": cells}))
    arms = fake_arms.FakeArms(block_noise=0.0, step_noise=0.0)
    found = fake_arms.summary(
        [*fake_arms.run_comparisons(arms, 3, tmp_path, parallel=2), fake_arms.read_outcome(tmp_path / "gone")]
    )
    assert (found["alarms"], found["judged"], found["not_judged"]) == (1, 3, 2)
    assert found["cells_by_verdict"] == {"valid": 4, "noisy_host": 4}
    rows = false_alarms.table_rows({"live_fake": found})
    assert rows == [
        ("live A/A, fake server", "1 of 3 alarms, 2 not judged", "at most 2, of at least 50", "no")
    ]


def test_planted_slowdowns_are_counted_in_groups_of_the_pilot_s_pairs(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", repeats=26, slower=0.5)
    found = planted_slowdown.count_found([run], "other", 0.5, 5, family=1)
    assert (found["judged"], found["found"], found["held"]) == (5, 5, True)
    few = planted_slowdown.count_found([run], "other", 0.5, 10, family=1)
    assert (few["judged"], few["found"], few["held"]) == (2, 2, False), "two tries are no 80 %"
    assert found["mean_ratio"] == pytest.approx(1.5, rel=0.05)
    same = planted_slowdown.count_found([a_run(tmp_path / "same", repeats=5)], "other", 0.5, 5, family=1)
    assert (same["found"], same["held"]) == (0, False)


def test_the_experiment_s_slowdowns_are_read_from_it() -> None:
    experiment = load_experiment(planted_slowdown.EXPERIMENT)
    assert planted_slowdown.planted_slowdowns(experiment) == {"slower-5": 0.05, "slower-10": 0.1}


class _Machine:
    """A clock that sleeping moves, a millisecond too far each time."""

    def __init__(self) -> None:
        self.now_s, self.slept_s = 100.0, 0.0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds + 0.001
        self.slept_s += seconds + 0.001


def test_every_step_takes_the_share_longer_whatever_it_takes() -> None:
    machine, dice = _Machine(), np.random.default_rng(5)
    slowdown = PlantedSlowdown(0.05, clock=lambda: machine.now_s, sleep=machine.sleep)
    slowdown.after_step()
    steps_s = dice.uniform(0.015, 0.06, 1000)
    for step_s in steps_s:
        machine.now_s += float(step_s)
        slowdown.after_step()
    assert machine.slept_s / steps_s.sum() == pytest.approx(0.05, rel=0.02), "oversleeping is made up for"


def test_an_idle_server_owes_nothing_for_its_rest() -> None:
    machine = _Machine()
    slowdown = PlantedSlowdown(0.1, clock=lambda: machine.now_s, sleep=machine.sleep)
    for step_s in [0.02] * 50 + [3600.0] + [0.02] * 50:
        machine.now_s += step_s
        slowdown.after_step()
    assert machine.slept_s == pytest.approx(0.1 * 0.02 * 100, rel=0.05)


def test_without_a_share_nothing_sleeps_and_nothing_is_drafted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KILOTOKEN_PLANTED_SLOWDOWN", raising=False)
    assert SleepingProposer(None).propose([[1], []]) == [[], []]
    with pytest.raises(ValueError, match="a share from 0 to 1"):
        PlantedSlowdown(5.0)


@pytest.mark.parametrize("kind", ["normal", "resampled"])
def test_noise_is_drawn_with_the_recorded_spread_and_no_mean(kind: str) -> None:
    noise = np.random.default_rng(3).standard_t(4, 30) * 0.03 + 0.01
    drawn = simulated_arms.draw(kind, noise.tolist(), (2000, 10), np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(0, abs=0.001)
    assert drawn.std() == pytest.approx(math.sqrt((noise**2).mean()), rel=0.03)


def test_seconds_that_make_up_for_one_another_explain_less_than_their_spread() -> None:
    """A fast second after each slow one: single seconds spread widely, the window's mean hardly."""
    rates = np.tile([80.0, 120.0, 100.0, 90.0, 110.0], 5) + np.random.default_rng(2).normal(0, 1, 25)
    second_sd, window_sd = block_noise._spread(rates)
    assert second_sd == pytest.approx(0.14, abs=0.02)
    assert window_sd is not None
    assert window_sd < 0.005


def test_synthetic_records_reconcile_to_the_token(tmp_path: Path) -> None:
    run = RunDirectory.open(million_records.write_run(tmp_path / "run", million_records.Size(1600, 8)))
    evaluate(run, run.experiment())
    cells = run.read_json("measures.json")["cells"]
    assert len(cells) == 8
    assert all(cell["reconciled"] and cell["failed"] == 0 for cell in cells)
    assert {cell["reconciliation"]["usage_output_tokens"] for cell in cells} == {200 * 8}
    assert (run.path / "report.html").stat().st_size > 0

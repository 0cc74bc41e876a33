"""The number of pairs: fixed once from a pilot, never beyond the budget."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from accounting.errors import ConfigError, RunError
from workbench import pair_count
from workbench.experiment import parse_experiment
from workbench.pair_count import counted_repeats, fix_pairs, stop_for_budget, wanted_blocks
from workbench.plan import estimate, make_plan
from workbench.run_command import refuse_beyond_budget
from workbench.run_directory import RunDirectory

TEXT = """
name: pilot
server: {{model: fake-model, engine: {{device: fake}}}}
arms: {{plain: {{}}, slow: {{batching: {{max_num_seqs: 7}}}}}}
workloads: [chat]
loads: {{streams: [4]}}
{count}
price: {{usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}}
"""
Make = Callable[..., RunDirectory]


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A run whose pilot is measured; pairs spread by `sd`, each block was held for `held_s`."""

    def make(count: str, *, sd: float = 0.02, held_s: float = 60.0, blocks: int = 8) -> RunDirectory:
        text = TEXT.format(count=count)
        plan = make_plan(parse_experiment(text, origin="test"))
        run = RunDirectory.create(tmp_path / "run", text, plan, {})
        dice = np.random.default_rng(3)
        cells = []
        for block in plan.blocks[:blocks]:
            run.next_attempt(block).write_status("finished", held_s=held_s)
            speed = 100.0 * float(np.exp(dice.normal(0, sd / 2**0.5)))
            cells.append(
                {
                    "arm": block.arm, "workload": "chat", "load": "4 streams", "repeat": block.repeat,
                    "block": block.block_id, "window_s": 30.0, "output_tokens": 30 * speed, "token_source": "counters",
                    "reconciled": True, "reconciliation": {"reason": ""},
                    "slo_token_share": {"value": 1.0, "reason": None}, "verdict": {"throughput": "valid"},
                }
            )  # fmt: skip
        monkeypatch.setattr(pair_count, "measured_cells", lambda *_: cells)
        return run

    return make


def test_a_noisier_pilot_asks_for_more_pairs_and_its_own_are_not_compared(make_run: Make) -> None:
    run = make_run("pairs: {pilot: 4, find: 5%, most: 200}", sd=0.03)
    assert list(counted_repeats(run, run.experiment())) == []
    assert {block.repeat for block in wanted_blocks(run, run.experiment())} == {1, 2, 3, 4}
    fixed = fix_pairs(run, run.experiment())
    assert fixed["limited_by"] == "pilot"
    assert fixed["needed"][0]["pairs"] == fixed["pairs"] > 4
    counted = counted_repeats(run, run.experiment())
    assert (counted[0], len(counted)) == (5, fixed["pairs"])
    assert wanted_blocks(run, run.experiment())[-1].repeat == 4 + fixed["pairs"]
    finer = parse_experiment(TEXT.format(count="pairs: {find: 2%, most: 200}"), origin="test")
    (run.path / "pairs.json").unlink()
    assert fix_pairs(run, finer)["pairs"] > 2 * fixed["pairs"]


def test_what_was_fixed_stays(make_run: Make) -> None:
    run = make_run("pairs: {most: 9}", sd=0.5)
    first = fix_pairs(run, run.experiment())
    assert (first["pairs"], first["limited_by"]) == (9, "most")
    (run.path / "pairs.json").write_text(json.dumps({**first, "pairs": 6}))
    assert fix_pairs(run, run.experiment())["pairs"] == 6


def test_a_pilot_without_valid_pairs_says_so_and_takes_the_most(make_run: Make) -> None:
    run = make_run("pairs: {most: 7}", blocks=2)
    fixed = fix_pairs(run, run.experiment())
    assert fixed["pairs"] == 7
    assert fixed["needed"][0]["reason"] == "1 valid pairs in the pilot"
    assert fixed["limited_by"] == "most"
    assert "how many the pilot asks for is not known" in fixed["sentence"]


def test_the_budget_limits_the_pairs(make_run: Make) -> None:
    # The pilot held servers for 8 minutes; a pair takes 2. At 3.6 USD an hour, 0.9 USD is 15 minutes.
    run = make_run("pairs: {most: 20}\nbudget: {usd: 0.9, hours: 5}", sd=0.5)
    fixed = fix_pairs(run, run.experiment())
    assert (fixed["pairs"], fixed["limited_by"]) == (3, "budget")
    assert "below 4 nothing can be told" in fixed["sentence"]


def test_no_pair_is_begun_that_the_budget_does_not_cover(make_run: Make) -> None:
    run = make_run("repeats: 8\nbudget: {hours: 0.2}")  # 12 minutes; 8 are spent, a pair takes 2
    assert stop_for_budget(run, run.experiment(), 5) == ""
    for block in run.plan().blocks[8:11]:
        run.next_attempt(block).write_status("interrupted", held_s=60.0)
    assert "0.02 h are left and another pair takes 0.03 h; 4 pairs" in stop_for_budget(
        run, run.experiment(), 5
    )
    assert list(counted_repeats(run, run.experiment())) == [1, 2, 3, 4]
    assert len(wanted_blocks(run, run.experiment())) == 8


def test_finished_pairs_are_never_given_up_for_the_budget(make_run: Make) -> None:
    """A finished run that is looked at again, or one that was killed behind its last pair: nothing is left to pay for."""
    run = make_run("repeats: 4\nbudget: {hours: 0.14}")  # 8.4 minutes, of which 8 are spent
    for repeat in (1, 2, 3, 4):
        assert stop_for_budget(run, run.experiment(), repeat) == ""
    assert not (run.path / "pairs.json").exists()
    assert list(counted_repeats(run, run.experiment())) == [1, 2, 3, 4]


def test_half_a_pair_needs_half_a_pair_s_budget(make_run: Make) -> None:
    run = make_run(
        "repeats: 8\nbudget: {hours: 0.17}", blocks=9
    )  # 10.2 minutes, 9 spent, the other block takes one
    assert stop_for_budget(run, run.experiment(), 5) == ""
    assert "5 pairs are compared" in stop_for_budget(run, run.experiment(), 6)


def test_a_budget_that_ends_before_the_first_pair_is_an_error(make_run: Make) -> None:
    run = make_run("repeats: 4\nbudget: {hours: 0.5}", blocks=0)
    search = run.plan().blocks[0]
    run.next_attempt(search).write_status("interrupted", held_s=1795.0)
    with pytest.raises(RunError, match="ends before the first pair"):
        stop_for_budget(run, run.experiment(), 1)


def test_an_arm_without_a_capacity_asks_for_no_pairs(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run("pairs: {most: 7}")
    cells = [cell for cell in pair_count.measured_cells(run, run.experiment()) if cell["arm"] == "plain"]
    monkeypatch.setattr(pair_count, "measured_cells", lambda *_: cells)
    fixed = fix_pairs(run, run.experiment())
    assert (fixed["pairs"], fixed["limited_by"]) == (0, "nothing to compare")
    assert "no pair is run" in fixed["sentence"]


def test_what_cannot_be_paid_is_refused_before_anything_starts() -> None:
    for count, words in (
        ("repeats: 40\nbudget: {usd: 0.5}", "40 repeats take about"),
        ("pairs: {pilot: 20}\nbudget: {hours: 0.05}", "the pilot of 20 pairs alone takes"),
    ):
        experiment = parse_experiment(TEXT.format(count=count), origin="test")
        with pytest.raises(ConfigError, match=words):
            refuse_beyond_budget(experiment, estimate(experiment, make_plan(experiment)))
    within = parse_experiment(TEXT.format(count="pairs: {}\nbudget: {hours: 5}"), origin="test")
    refuse_beyond_budget(within, estimate(within, make_plan(within)))


@pytest.mark.parametrize(
    ("count", "words"),
    [
        ("repeats: 4\npairs: {}", "not both"),
        ("budget: {}", "give hours, usd, or both"),
        ("pairs: {find: 5 percent}", "pairs.find"),
        ("pairs: {find: 500%}", "less than 1"),
    ],
)
def test_what_makes_no_sense_is_refused(count: str, words: str) -> None:
    with pytest.raises((ConfigError, ValidationError), match=words):
        parse_experiment(TEXT.format(count=count), origin="test")


def test_a_stopped_attempt_has_held_its_server_until_its_last_file(make_run: Make) -> None:
    run = make_run("repeats: 4", blocks=0)
    attempt = run.next_attempt(run.plan().blocks[0])
    attempt.write_status("running", begun_s=(run.path / "plan.json").stat().st_mtime - 30.0)
    assert 30.0 <= attempt.seen_s() < 60.0
    no_beginning: dict[str, Any] = {}
    attempt.write_status("running", **no_beginning)
    assert attempt.seen_s() == 0.0

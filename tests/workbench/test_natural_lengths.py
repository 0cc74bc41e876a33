"""What an experiment records before its first block: which prompts, in which order, for how long."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from accounting.errors import ConfigError
from loadtest.prompt_order import ordered_slice
from loadtest.workloads import Message, Prompt, Split, Workload
from loadtest.workloads.prompt import Sampling
from serving.fake_server import RunningFakeServer
from workbench.experiment import Experiment
from workbench.experiment_lengths import (
    check_natural_baseline,
    check_natural_prompts,
    least_prompts,
    wanted_prompts,
)
from workbench.natural_lengths import refuse_without_vllm
from workbench.plan import RECORDING_SPARE, RECORDING_STREAMS, Plan, estimate, make_plan, recording_limits_s
from workbench.run_directory import RunDirectory
from workbench.server_under_test import ServerUnderTest


def experiment(**changes: Any) -> Experiment:
    values: dict[str, Any] = {
        "name": "x",
        "arms": {"plain": {}, "other": {}},
        "baseline": "other",
        "workloads": ["chat", "copy"],
        "loads": {"streams": [2, 8]},
        "output": {"length": "natural", "max_tokens": 40},
        "window": {"minimum_s": 25.0, "limit_s": 100.0},
        "repeats": 3,
        "price": {"usd_per_hour": 3.6, "source": "s", "as_of": "2026-11-22"},
    }
    return Experiment.model_validate(values | changes)


def workload(count: int, **more: Any) -> Workload:
    prompts = [
        Prompt(f"p{n}", "chat", "t", Split.MEASURED, (Message("user", "?"),), **more) for n in range(count)
    ]
    return Workload("chat", "", "", tuple(prompts))


def cell_prompts(asked: Experiment, loaded: Workload) -> dict[tuple[int, int], list[str]]:
    """What each cell of the first workload sends, in order, by repeat and streams."""
    return {
        (block.repeat, cell.streams): [
            p.prompt_id
            for p in ordered_slice(
                loaded.of(Split.MEASURED),
                seed=block.order_seed,
                slice_index=cell.slice_index,
                slice_count=cell.slice_count,
            )
        ]
        for block in make_plan(asked).blocks
        for cell in block.cells
        if cell.workload == "chat"
    }


def test_the_baseline_has_one_more_server_life_before_all_others_that_counts_as_no_measured_one() -> None:
    asked = experiment()
    plan, free = make_plan(asked), make_plan(experiment(output={"max_tokens": 40}))
    assert free.lengths is None
    assert plan.blocks == free.blocks
    assert plan.lengths is not None
    assert (plan.lengths.block_id, plan.lengths.arm, plan.lengths.repeat) == ("lengths", "other", 0)
    assert [cell.workload for cell in plan.lengths.cells] == ["chat", "copy"]
    assert {cell.streams for cell in plan.lengths.cells} == {RECORDING_STREAMS}
    many = make_plan(experiment(loads={"streams": [1, 64]})).lengths
    assert many is not None
    assert {cell.streams for cell in many.cells} == {64}, "as many as the largest cell keeps busy"


def test_the_estimate_counts_the_recording_and_says_how_much_it_is() -> None:
    asked = experiment()
    plan = make_plan(asked)
    expected, without = estimate(asked, plan), estimate(asked, without_lengths(plan))
    assert (expected.blocks, expected.cells) == (without.blocks, without.cells) == (6, 24)
    assert without.lengths_s == 0
    assert expected.lengths_s > 2 * recording_limits_s(asked)[0], "two workloads"
    assert expected.duration_s == pytest.approx(without.duration_s + expected.lengths_s)
    assert expected.start_s == pytest.approx(without.start_s)
    assert expected.usd == pytest.approx(expected.duration_s * 0.001)


def without_lengths(plan: Plan) -> Plan:
    return Plan(plan.blocks)


def test_the_recording_lasts_longer_than_all_cells_of_the_baseline_together() -> None:
    least_s, longest_s = recording_limits_s(experiment())
    assert least_s > RECORDING_SPARE * 3 * 2 * 25.0
    assert longest_s > RECORDING_SPARE * 3 * 2 * 100.0


@example_settings(max_examples=25)
@given(
    st.integers(1, 4), st.integers(0, 99), st.sampled_from([(1,), (2, 8), (1, 4, 16)]), st.integers(200, 400)
)
def test_every_prompt_of_every_cell_is_wanted_once_and_what_cells_cannot_do_without_comes_first(
    repeats: int, seed: int, streams: tuple[int, ...], count: int
) -> None:
    asked = experiment(repeats=repeats, seed=seed, loads={"streams": list(streams)})
    loaded = workload(count)
    order, needed = wanted_prompts(asked, make_plan(asked), "chat", loaded)
    cells = cell_prompts(asked, loaded)
    assert len(cells) == repeats * len(streams)
    assert len(set(order)) == len(order)
    assert set(order) == {prompt for prompts in cells.values() for prompt in prompts}
    least = {p for (_, load), prompts in cells.items() for p in prompts[: least_prompts(asked, load)]}
    assert set(order[:needed]) == least


def test_a_recording_that_runs_out_of_time_has_served_all_cells_alike() -> None:
    asked = experiment(repeats=1)
    loaded = workload(800)
    order, needed = wanted_prompts(asked, make_plan(asked), "chat", loaded)
    known = set(order[: needed + 101])
    got = {
        load: sum(p in known for p in prompts) - least_prompts(asked, load)
        for (_, load), prompts in cell_prompts(asked, loaded).items()
    }
    assert sorted(got.values()) == [50, 51]
    for prompts in cell_prompts(asked, loaded).values():
        flags = [p in known for p in prompts]
        assert flags == sorted(flags, reverse=True), "each cell's own first prompts"


def test_a_prompt_that_is_not_answered_greedily_has_no_natural_length() -> None:
    warm = workload(400, sampling=Sampling(temperature=0.7))
    with pytest.raises(ConfigError, match=r"400 of its prompts set a temperature \(p0 first\)"):
        check_natural_prompts(experiment(), "chat", warm)
    check_natural_prompts(experiment(), "chat", workload(400, sampling=Sampling(temperature=0.0)))
    check_natural_prompts(experiment(output={"max_tokens": 40}), "chat", warm)


def test_too_few_prompts_for_a_window_are_refused_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match="62 measured prompts, 31 for each load; 8 streams need 32"):
        check_natural_prompts(experiment(), "chat", workload(62))
    check_natural_prompts(experiment(), "chat", workload(64))


def test_only_vllm_can_be_the_baseline() -> None:
    other = ServerUnderTest("http://elsewhere", "m", is_vllm=False)
    with pytest.raises(ConfigError) as caught:
        refuse_without_vllm(other, asked="output.length: natural", instead="`length: free`")
    assert "http://elsewhere is another one" in caught.value.message
    assert caught.value.hint == "Use `length: free`."
    with RunningFakeServer() as server:
        attached = experiment(arms={"plain": {}, "other": {"url": server.url}})
        check_natural_baseline(attached, origin="x.yaml")


def test_run_directories_keep_a_table_per_workload(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", "", make_plan(experiment()), {})
    assert run.plan() == make_plan(experiment())
    assert (
        run.lengths("data/questions.jsonl?limit=9") == tmp_path / "run" / "lengths" / "questions-limit-9.json"
    )

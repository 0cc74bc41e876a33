import pytest
from pydantic import ValidationError

from workbench.experiment import Experiment
from workbench.loads import CAPACITY, Level, LoadSection, load_of
from workbench.plan import estimate, make_plan


def experiment(loads: object, **changes: object) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "x",
            "arms": {"a": {}, "b": {}},
            "workloads": ["chat", "copy"],
            "loads": loads,
            "price": {"usd_per_hour": 3.6, "source": "s", "as_of": "2026-11-22"},
            **changes,
        }
    )


def test_each_kind_of_load_has_its_labels() -> None:
    assert [level.label for level in LoadSection(streams=(1, 8)).levels] == ["1 stream", "8 streams"]
    assert [level.label for level in LoadSection(rates=(0.5, 1)).levels] == ["0.5 requests/s", "1 requests/s"]
    assert experiment(CAPACITY).loads.levels == (Level("streams", None),)
    assert experiment({"capacity": None}).loads == experiment(CAPACITY).loads
    assert experiment({"capacity": {"by": "rate"}}).loads.open_loop


def test_one_load_may_be_called_load() -> None:
    data = experiment(CAPACITY).model_dump()
    assert Experiment.model_validate({("load" if k == "loads" else k): v for k, v in data.items()})


def test_results_of_older_runs_have_a_load_too() -> None:
    assert load_of({"streams": 1}) == "1 stream"
    assert load_of({"streams": 4, "load": CAPACITY}) == CAPACITY


def test_a_search_comes_before_the_blocks_and_the_plan_of_pairs_is_the_one_of_a_given_load() -> None:
    given, sought = make_plan(experiment({"streams": [4]})), make_plan(experiment(CAPACITY))
    assert [b.block_id for b in sought.blocks] == [b.block_id for b in given.blocks]
    assert [b.order_seed for b in sought.blocks] == [b.order_seed for b in given.blocks]
    assert {b.block_id for b in sought.searches} == {"search-a", "search-b"}
    assert {c.workload for b in sought.searches for c in b.cells} == {"chat", "copy"}
    assert all(c.load == CAPACITY and c.streams is None for b in sought.blocks for c in b.cells)
    assert given.searches == ()


def test_the_estimate_holds_the_searches_apart() -> None:
    asked = experiment(CAPACITY)
    expected = estimate(asked, make_plan(asked))
    assert expected.searches_s > 2 * 2 * 4 * 25  # two arms, two workloads, some probes each
    assert expected.start_s == pytest.approx(110.0)
    short = experiment({"capacity": {"most_probes": 2}})
    assert estimate(short, make_plan(short)).searches_s < expected.searches_s


def test_a_capacity_filled_in_keeps_its_label() -> None:
    cell = make_plan(experiment(CAPACITY)).blocks[0].cells[0]
    assert (cell.load, cell.driven) == (CAPACITY, CAPACITY)
    known = cell.at("streams", 6.0)
    assert (known.load, known.driven, known.streams) == (CAPACITY, "6 streams", 6)
    known = cell.at("rate", 2.5)
    assert (known.load, known.driven, known.rate_per_s) == (CAPACITY, "2.5 requests/s", 2.5)


def test_natural_lengths_go_with_streams_only() -> None:
    for loads in (CAPACITY, {"rates": [1]}):
        with pytest.raises(ValidationError, match="natural goes with loads"):
            experiment(loads, output={"length": "natural"})

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from workbench.experiment import Experiment
from workbench.plan import estimate, make_plan

ROOT = Path(__file__).parents[2]


def experiment(repeats: int = 2, seed: int = 1, arms: int = 2) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "x",
            "arms": {f"a{i}": {} for i in range(arms)},
            "workloads": ["chat", "copy"],
            "loads": {"streams": [1, 16]},
            "repeats": repeats,
            "seed": seed,
            "price": {"usd_per_hour": 3.6, "source": "s", "as_of": "2026-11-22"},
        }
    )


@given(st.integers(1, 6), st.integers(0, 1000), st.integers(1, 4))
def test_every_round_runs_every_arm_once_with_the_same_cells_in_the_same_order(
    repeats: int, seed: int, arms: int
) -> None:
    asked = experiment(repeats, seed, arms)
    plan = make_plan(asked)
    assert plan == make_plan(asked)
    assert plan.cell_count == repeats * arms * 4
    for number in range(repeats):
        neighbours = plan.blocks[number * arms : (number + 1) * arms]
        assert {block.arm for block in neighbours} == set(asked.arms)
        assert {block.repeat for block in neighbours} == {number + 1}
        assert len({block.cells for block in neighbours}) == 1
        assert len({block.order_seed for block in neighbours}) == 1


@given(st.integers(1, 4), st.integers(0, 1000), st.integers(2, 5))
def test_every_second_round_reverses_the_one_before(pairs: int, seed: int, arms: int) -> None:
    order = [block.arm for block in make_plan(experiment(2 * pairs, seed, arms)).blocks]
    for start in range(0, len(order), 2 * arms):
        assert order[start : start + arms] == order[start + arms : start + 2 * arms][::-1]


def test_arms_and_cells_are_shuffled() -> None:
    first_arms = {make_plan(experiment(seed=s)).blocks[0].arm for s in range(30)}
    first_cells = {make_plan(experiment(seed=s)).blocks[0].cells[0].cell_id for s in range(30)}
    assert first_arms == {"a0", "a1"}
    assert len(first_cells) == 4


def test_cells_of_one_server_life_never_share_a_prompt_slice_of_a_workload() -> None:
    for block in make_plan(experiment()).blocks:
        slices = [(cell.workload, cell.slice_index) for cell in block.cells]
        assert len(set(slices)) == len(slices)


def test_the_estimate_adds_up_and_is_priced() -> None:
    asked = experiment()
    expected = estimate(asked, make_plan(asked))
    assert expected.cells == 16
    assert expected.blocks == 4
    assert expected.duration_s > 16 * 25
    assert expected.usd == expected.duration_s * 0.001

"""Figures that people quote: ours from the same inputs, by the functions of every estimate, and how they scale."""

from __future__ import annotations

import pytest

from accounting.estimate.examples_of_serving import SERVING
from accounting.estimate.examples_of_training import TRAINING
from accounting.estimate.worked_example import WorkedExample

EXAMPLES = (*SERVING, *TRAINING)
SCALED = [(one, name) for one in EXAMPLES for name in one.scaling]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.figure)
def test_ours_is_the_published_figure_within_its_rounding(example: WorkedExample) -> None:
    if example.off is not None:
        assert abs(example.off) < 0.03, (example.published, example.ours)


@pytest.mark.parametrize(("example", "name"), SCALED, ids=lambda value: getattr(value, "figure", value))
def test_doubling_an_input_scales_the_figure(example: WorkedExample, name: str) -> None:
    doubled = example.compute({**example.inputs, name: 2 * example.inputs[name]})
    assert doubled == pytest.approx(example.ours * 2.0 ** example.scaling[name], rel=1e-9)


def figure(words: str) -> float:
    (found,) = [one.ours for one in EXAMPLES if words in one.figure]
    return found


def test_the_figures_themselves() -> None:
    assert figure("20 s a batch") == pytest.approx(0.00301, abs=5e-6)
    assert figure("still took 20 s") == pytest.approx(0.386, abs=5e-4)
    assert figure("by roofline") == pytest.approx(0.083, abs=1e-3)
    assert figure("6 P T") == pytest.approx(25.4, abs=0.05)
    assert figure("8 P T") == pytest.approx(33.9, abs=0.05)
    assert figure("36.0% of their peak") == pytest.approx(53.2, abs=0.1)
    assert figure("32.0% of their peak") == pytest.approx(59.8, abs=0.1)
    assert figure("8,192 H100") == pytest.approx(21.6, abs=0.05)
    assert figure("this implies") == pytest.approx(0.56, abs=0.005)
    assert [one.ours for one in EXAMPLES if one.unit == "GiB"] == [128.0, 32.0, 0.5, 4.0]
    assert [one.ours for one in EXAMPLES if one.unit == "MiB"] == [1504.0, -1536.0, 2496.0, 2464.0]
    assert [one.ours for one in EXAMPLES if one.unit == "tokens"] == [8192.0, 24_576.0]
    assert [round(one.ours, 1) for one in EXAMPLES if one.unit == "billions"] == [46.7, 12.9]


def test_where_ours_differs_by_more_than_rounding_the_note_says_why() -> None:
    off = [one for one in EXAMPLES if one.off is not None and abs(one.off) > 0.02]
    assert off
    assert all(one.note for one in off), [one.figure for one in off if not one.note]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.figure)
def test_every_figure_says_how_it_depends_on_an_input(example: WorkedExample) -> None:
    assert example.scaling or example.doubled
    for name, expected in example.doubled.items():
        found = example.compute({**example.inputs, name: 2 * example.inputs[name]})
        assert found == pytest.approx(expected, rel=1e-4)

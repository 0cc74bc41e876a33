import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.capacity import TRIES, Bounds, Decision, Probed, bracket, next_load, sentence


def search(capacity: float, bounds: Bounds) -> list[Probed]:
    """Probe a server that meets the floor up to `capacity` and not beyond."""
    probes: list[Probed] = []
    while (at := next_load(probes, bounds)) is not None:
        probes.append((at, Decision.MEETS if at <= capacity else Decision.MISSES))
    return probes


@given(st.integers(1, 200), st.integers(1, 8), st.integers(8, 128), st.floats(0.01, 0.5))
def test_streams_are_bracketed_within_the_resolution(
    capacity: int, lowest: int, highest: int, resolution: float
) -> None:
    bounds = Bounds(lowest, highest, resolution, most_probes=40)
    probes = search(capacity, bounds)
    found = bracket(probes)
    assert all(lowest <= at <= highest and at == round(at) for at, _ in probes)
    assert len({at for at, _ in probes}) == len(probes)  # nothing is tried twice without need
    if capacity < lowest:
        assert (found.met, found.missed) == (None, lowest)
    elif capacity >= highest:
        assert (found.met, found.missed) == (highest, None)
    else:
        assert found.met is not None
        assert found.missed is not None
        assert found.met <= capacity < found.missed
        assert found.missed - found.met <= max(resolution * found.met, 1)


@given(st.floats(0.05, 50), st.floats(0.02, 0.5))
def test_rates_are_bracketed_within_the_resolution(capacity: float, resolution: float) -> None:
    bounds = Bounds(0.1, 40.0, resolution, most_probes=40, whole=False)
    found = bracket(search(capacity, bounds))
    if 0.1 <= capacity < 40.0:
        assert found.met is not None
        assert found.missed is not None
        assert found.met <= capacity < found.missed <= found.met * (1 + resolution) * 1.001


@given(st.lists(st.sampled_from(list(Decision)), min_size=1, max_size=60), st.integers(1, 15))
def test_a_search_ends_whatever_the_probes_say_and_never_goes_above_one_that_missed(
    said: list[Decision], most: int
) -> None:
    probes: list[Probed] = []
    bounds = Bounds(1, 64, most_probes=most)
    for decision in said * 2:
        at = next_load(probes, bounds)
        if at is None:
            break
        missed = bracket(probes).missed
        assert missed is None or at < missed
        probes.append((at, decision))
    assert len(probes) <= most
    loads = [at for at, _ in probes]
    assert all(loads.count(at) <= TRIES for at in loads)


def test_a_load_that_was_not_judged_is_tried_again_and_then_counts_as_missed() -> None:
    bounds = Bounds(1, 64)
    probes = [(1.0, Decision.MEETS), (2.0, Decision.UNJUDGED)]
    assert next_load(probes, bounds) == 2.0
    assert bracket(probes).missed is None
    probes.append((2.0, Decision.UNJUDGED))
    assert bracket(probes).missed == 2.0
    assert next_load(probes, bounds) is None


def test_the_capacity_lies_below_every_load_that_missed() -> None:
    assert bracket([(1.0, Decision.MEETS), (4.0, Decision.MISSES), (8.0, Decision.MEETS)]).met == 1.0


@pytest.mark.parametrize(
    ("capacity", "words"),
    [
        (0, "no load met the floor: 2 streams, the lowest allowed, missed it"),
        (9, "9 streams met the floor, 10 missed it"),
        (99, "at least 16 streams: the highest allowed met the floor, no load missed it"),
    ],
)
def test_the_answer_in_words(capacity: int, words: str) -> None:
    bounds = Bounds(2, 16)
    assert sentence(search(capacity, bounds), bounds, lambda at: f"{at:g} streams") == words


def test_a_range_that_is_none_is_refused() -> None:
    for bounds in (
        Bounds(0, 4),
        Bounds(4, 2),
        Bounds(1, 2, most_probes=0),
        Bounds(1, 2, resolution=math.nan),
    ):
        with pytest.raises(ValueError, match="no search lies in"):
            next_load([], bounds)

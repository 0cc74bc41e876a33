import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.prompt_order import ordered_slice
from loadtest.workloads import Message, Prompt, Split

PROMPTS = [Prompt(str(i), "w", "t", Split.MEASURED, (Message("user", str(i)),)) for i in range(103)]


@given(st.integers(0, 10**6), st.integers(1, 20))
def test_slices_are_disjoint_equal_and_cover_all_but_a_remainder(seed: int, count: int) -> None:
    slices = [ordered_slice(PROMPTS, seed=seed, slice_index=i, slice_count=count) for i in range(count)]
    seen = [p.prompt_id for one in slices for p in one]
    assert len(seen) == len(set(seen)) == 103 // count * count
    assert {len(one) for one in slices} == {103 // count}


def test_the_seed_alone_decides_the_order() -> None:
    first, again, other = (ordered_slice(PROMPTS, seed=s, slice_index=0, slice_count=1) for s in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(("index", "count"), [(2, 2), (-1, 2), (0, 104)])
def test_a_slice_that_cannot_be_is_refused(index: int, count: int) -> None:
    with pytest.raises(ValueError, match=r"slice|prompts"):
        ordered_slice(PROMPTS, seed=1, slice_index=index, slice_count=count)

import pytest

from loadtest.workloads.hash_split import chosen_by_hash

NAMES = {f"template {n}" for n in range(1000)}


def test_it_is_about_the_share_and_a_name_never_moves() -> None:
    chosen = chosen_by_hash(NAMES, 0.2)
    assert 150 < len(chosen) < 250
    more = chosen_by_hash(NAMES | {f"later {n}" for n in range(1000)}, 0.2)
    assert more & NAMES == chosen


def test_a_salt_chooses_otherwise() -> None:
    both = chosen_by_hash(NAMES, 0.2) & chosen_by_hash(NAMES, 0.2, salt="x")
    assert 20 < len(both) < 70, "a fifth of a fifth, by chance"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.999, 1.0])
def test_of_two_names_one_stands_on_each_side(share: float) -> None:
    assert len(chosen_by_hash({"a", "b"}, share)) == 1

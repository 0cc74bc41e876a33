"""How a budget is divided, and what is no budget."""

import pytest

from accounting.errors import ConfigError
from workbench.drafting.time_budget import CHECK_S, LEAST_S, parse_budget, shares


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5400), ("2h", 7200), ("1h30m", 5400), ("45s", 45), ("1.5h", 5400)]
)
def test_a_time_is_read(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "m", "0m", "-5m", "90 m h", "soon"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no time"):
        parse_budget(text)


def test_all_of_the_budget_is_given_out() -> None:
    found = shares(7200, workloads=2, compared=True)
    assert found.asking_s + found.training_s + found.check_s + found.comparison_s == pytest.approx(7200)
    assert found.asking_s < found.training_s
    alone = shares(7200, workloads=2, compared=False)
    assert alone.comparison_s == 0
    assert alone.training_s > found.training_s
    assert shares(7200, workloads=4, compared=True).comparison_s > found.comparison_s


def test_too_little_says_how_much_is_needed() -> None:
    with pytest.raises(ConfigError, match="minutes are too few") as caught:
        shares(1200, workloads=2, compared=True)
    needed_s = float(caught.value.hint.split("--budget ")[1].split("m")[0]) * 60
    shares(needed_s, workloads=2, compared=True)
    assert "--no-compare" in caught.value.hint
    with pytest.raises(ConfigError):
        shares(CHECK_S + LEAST_S - 1, workloads=0, compared=False)
    shares(CHECK_S + LEAST_S, workloads=0, compared=False)

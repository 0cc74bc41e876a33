from typing import Any

from workbench.headline import direction, headline, notice
from workbench.loads import level_label


def row(ratios: list[float], streams: int = 1, interval: tuple[float, float] | None = None) -> dict[str, Any]:
    mean = sum(ratios) / len(ratios) if ratios else None
    return {
        "arm": "ngram",
        "workload": "copy",
        "load": level_label("streams", streams),
        "word": "too few blocks",
        "latencies": [],
        "pair_ratios": ratios,
        "interval": interval,
        "speedup": None if mean is None else 1 / mean,
    }


def test_a_direction_needs_every_pair() -> None:
    assert direction(row([0.5, 0.8])) == "paid"
    assert direction(row([1.5, 1.8])) == "lost"
    assert direction(row([0.9, 1.1])) == "mixed"
    assert direction(row([])) == "unknown"


def test_an_interval_decides_where_there_is_one() -> None:
    assert direction(row([0.5, 0.6, 0.9, 1.01], interval=(0.4, 1.1))) == "mixed"
    assert direction(row([0.9, 1.01, 0.8, 0.9], interval=(0.8, 0.99))) == "paid"


def test_the_sentence_names_where_it_paid_and_where_not() -> None:
    said = headline([row([0.5, 0.5]), row([1.25, 1.25], 16), row([0.9, 1.1], 4)], "plain")
    assert said == (
        "On this machine, against plain, ngram paid on copy at 1 stream (2.00x tokens per dollar); "
        "lost on copy at 16 streams (0.80x tokens per dollar); "
        "gave no clear answer on copy at 4 streams (1.00x tokens per dollar)."
    )


def test_two_pairs_are_called_a_look() -> None:
    assert notice([row([0.5, 0.5])]).startswith("Two pairs of blocks are a look, not a proof")
    assert notice([row([0.5] * 4, interval=(0.4, 0.6))]) == ""


def test_nothing_to_compare_says_so() -> None:
    assert "nothing to compare" in headline([], "plain")
    assert "no valid pair" in headline([row([])], "plain")

import numpy as np
import pytest

from accounting.saturation import Saturation, saturation
from tests.accounting.queues import simulate

WARM_UP_S, END_S = 10.0, 70.0


def judged(seed: int, load: float) -> Saturation:
    arrivals, begins, ends = simulate(seed, load, until_s=END_S)
    middles = np.arange(WARM_UP_S, END_S) + 0.5
    queue = np.searchsorted(arrivals, middles) - np.searchsorted(np.sort(ends), middles)
    second = np.floor(arrivals)
    waits = begins - arrivals + 0.05
    ttft = np.array(
        [np.median(waits[second == s]) if (second == s).any() else np.nan for s in np.floor(middles)]
    )
    sent = ((arrivals >= WARM_UP_S) & (arrivals < END_S)).sum()
    answered = ((ends >= WARM_UP_S) & (ends < END_S)).sum()
    return saturation(queue.astype(float), ttft, sent=float(sent), answered=float(answered))


@pytest.mark.parametrize(
    ("load", "fewest", "most"),
    [(0.6, 0.0, 0.02), (0.8, 0.0, 0.05), (0.9, 0.0, 0.06), (1.1, 0.5, 1.0), (1.3, 0.95, 1.0)],
)
def test_overload_is_found_and_a_server_that_keeps_up_is_left_alone(
    load: float, fewest: float, most: float
) -> None:
    share = float(np.mean([bool(judged(seed, load).reason) for seed in range(150)]))
    assert fewest <= share <= most


def test_exactly_at_capacity_a_minute_finds_more_than_by_chance() -> None:
    """The queue grows by the square root of time there; the share that was delivered says it, too."""
    found = [judged(seed, 1.0) for seed in range(150)]
    assert float(np.mean([bool(f.reason) for f in found])) >= 0.12
    assert float(np.median([f.delivered_share or 0 for f in found])) < 1.0


def test_each_sign_alone_is_innocent() -> None:
    up, flat = np.linspace(10.0, 40.0, 40), np.full(40, 10.0)
    assert saturation(up, up, sent=400, answered=300).reason
    assert not saturation(up, flat, sent=400, answered=300).reason
    assert not saturation(flat, up, sent=400, answered=300).reason
    assert not saturation(up, up, sent=400, answered=399).reason
    assert not saturation(up[::-1], up[::-1], sent=400, answered=300).reason


def test_without_values_nothing_is_said() -> None:
    nothing = saturation(np.empty(0), np.full(40, np.nan), sent=0, answered=0)
    assert (nothing.queue, nothing.ttft, nothing.delivered_share, nothing.reason) == (None, None, None, "")

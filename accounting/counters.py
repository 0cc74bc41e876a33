"""Cumulative server counters at an instant, and honest differences between two instants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accounting import metric_names as names


@dataclass(frozen=True)
class CounterSample:
    """What a /metrics page said: counters and gauges by key, summed over engines.

    `at_s` is the instant to which the page belongs, seconds on the monotonic clock; `uncertainty_s` is
    half the time the request for it took. Counters carry the key of `metric_names` (kept labels as
    `name{label=value}`).
    """

    at_s: float
    uncertainty_s: float
    counters: Mapping[str, float]
    gauges: Mapping[str, float]
    process_start_time: float | None = None

    def missing_required(self) -> tuple[str, ...]:
        """Names of required counters that the page did not hold."""
        return tuple(name for name in names.REQUIRED_COUNTERS if name not in self.counters)

    @property
    def requests_in_server(self) -> float:
        """Requests running or waiting; 0 means the server is idle."""
        return self.gauges.get(names.REQUESTS_RUNNING, 0.0) + self.gauges.get(names.REQUESTS_WAITING, 0.0)


@dataclass(frozen=True)
class CounterChange:
    """Increase of every counter between two samples of one server life.

    `reset` names the counters that went backwards (the server restarted between the samples, or a replica
    was lost): the change is then unusable and `increase` refuses to answer.
    """

    duration_s: float
    uncertainty_s: float
    increases: Mapping[str, float]
    reset: tuple[str, ...] = ()

    def increase(self, name: str) -> float:
        """Increase of counter `name`; 0 where the counter is absent.

        Raises:
            ValueError: if any counter was reset between the samples.
        """
        if self.reset:
            raise ValueError(f"counters were reset between the samples: {', '.join(self.reset)}")
        return self.increases.get(name, 0.0)

    def has(self, name: str) -> bool:
        """Whether the server exposes this counter at all."""
        return name in self.increases

    def by_label(self, name: str) -> dict[str, float]:
        """Increases of a counter with a kept label, keyed by the label's value."""
        prefix = f"{name}{{{names.KEPT_LABEL[name]}="
        return {key[len(prefix) : -1]: self.increase(key) for key in self.increases if key.startswith(prefix)}


def difference(start: CounterSample, end: CounterSample) -> CounterChange:
    """Difference two samples, detecting resets.

    A reset shows as a counter that decreased, or as another process start time. A counter that appears
    only at the end started from zero in between (prometheus_client creates labelled children at first use).

    Raises:
        ValueError: if `end` is not later than `start`.
    """
    if end.at_s <= start.at_s:
        raise ValueError(f"the later sample ({end.at_s}) must come after the earlier ({start.at_s})")
    reset = [key for key, value in start.counters.items() if end.counters.get(key, 0.0) < value]
    restarted = (
        start.process_start_time is not None
        and end.process_start_time is not None
        and abs(start.process_start_time - end.process_start_time) > 0.5
    )
    if restarted and not reset:
        reset = [names.PROCESS_START_TIME]
    return CounterChange(
        duration_s=end.at_s - start.at_s,
        uncertainty_s=start.uncertainty_s + end.uncertainty_s,
        increases={key: value - start.counters.get(key, 0.0) for key, value in end.counters.items()},
        reset=tuple(sorted(reset)),
    )

"""A /metrics page -> counters on plain values. Parsing is prometheus_client's."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from accounting import metric_names as names
from accounting.counters import CounterSample
from accounting.errors import ServerError
from serving.endpoints import MetricsPage

_COUNTERS = frozenset(names.ALL_COUNTERS)
_GAUGES = frozenset(names.GAUGES)


def parse_page(page: MetricsPage) -> CounterSample:
    """Sum every known counter and gauge over engines; keep `position` and `finished_reason` apart.

    Raises:
        ServerError: if the page is not Prometheus text.
    """
    counters: dict[str, float] = {}
    gauges: dict[str, float] = {}
    start_time: float | None = None
    try:
        for family in text_string_to_metric_families(page.text):
            for sample in family.samples:
                if sample.name in _COUNTERS:
                    kept = names.KEPT_LABEL.get(sample.name)
                    key = names.labelled(sample.name, sample.labels[kept]) if kept else sample.name
                    counters[key] = counters.get(key, 0.0) + sample.value
                elif sample.name in _GAUGES:
                    gauges[sample.name] = gauges.get(sample.name, 0.0) + sample.value
                elif sample.name == names.PROCESS_START_TIME:
                    start_time = sample.value
    except (ValueError, KeyError) as error:
        raise ServerError(f"the server's /metrics page cannot be read: {error}") from error
    half = (page.received_at_s - page.asked_at_s) / 2
    return CounterSample(page.asked_at_s + half, half, counters, gauges, start_time)

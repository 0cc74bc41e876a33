from pathlib import Path

import pytest

from accounting import metric_names as names
from accounting.acceptance import acceptance_by_position
from accounting.counters import CounterSample, difference
from accounting.errors import ServerError
from serving.endpoints import MetricsPage
from serving.scrape import parse_page

GOLDEN = (
    Path(__file__).parent / "golden" / "metrics_read_by_eye.prom"
)  # kept as it is: `make goldens` leaves it alone


def page(text: str) -> MetricsPage:
    return MetricsPage(text, 10.0, 10.2)


def test_every_name_we_rely_on_is_on_the_real_page() -> None:
    """The page was captured from vLLM 0.32 with ngram speculation on: a renamed metric must fail here."""
    sample = parse_page(page(GOLDEN.read_text()))
    for name in (*names.REQUIRED_COUNTERS, *names.SPECULATION_COUNTERS):
        assert name in sample.counters, name
    for name in (
        names.CACHED_PROMPT_TOKENS,
        names.PREEMPTIONS,
        names.PREFIX_CACHE_QUERIES,
        names.PREFIX_CACHE_HITS,
    ):
        assert name in sample.counters, name
    for name in names.GAUGES:
        assert name in sample.gauges, name
    for position in range(6):
        assert names.labelled(names.ACCEPTED_TOKENS_PER_POSITION, str(position)) in sample.counters
    assert names.labelled(names.REQUESTS_FINISHED, "stop") in sample.counters
    assert sample.process_start_time is not None
    assert sample.missing_required() == ()


def test_the_golden_pages_numbers_are_read_right() -> None:
    """Read by eye from the page: three requests of nine tokens, one drafted step each with 5 of 6 accepted."""
    sample = parse_page(page(GOLDEN.read_text()))
    assert sample.counters[names.GENERATION_TOKENS] == 27
    assert sample.counters[names.PROMPT_TOKENS] == 150
    assert sample.counters[names.FIRST_TOKENS] == 3
    assert sample.counters[names.DECODE_STEPS] == 9
    zero = CounterSample(0.0, 0.0, dict.fromkeys(sample.counters, 0.0), {})
    assert acceptance_by_position(difference(zero, sample)) == [1, 1, 1, 1, 1, 0]


def test_the_page_belongs_to_the_middle_of_its_request() -> None:
    sample = parse_page(page("# nothing\n"))
    assert sample.at_s == pytest.approx(10.1)
    assert sample.uncertainty_s == pytest.approx(0.1)
    assert sample.missing_required() == names.REQUIRED_COUNTERS


def test_engines_are_summed_and_positions_kept_apart() -> None:
    text = (
        "# TYPE vllm:generation_tokens counter\n"
        'vllm:generation_tokens_total{engine="0"} 5.0\nvllm:generation_tokens_total{engine="1"} 7.0\n'
        "# TYPE vllm:num_requests_running gauge\n"
        'vllm:num_requests_running{engine="0"} 1.0\nvllm:num_requests_running{engine="1"} 2.0\n'
    )
    sample = parse_page(page(text))
    assert sample.counters[names.GENERATION_TOKENS] == 12
    assert sample.requests_in_server == 3


def test_a_page_that_is_no_metrics_page_is_a_server_error() -> None:
    with pytest.raises(ServerError, match="cannot be read"):
        parse_page(page("<html>{{{ not metrics"))

"""The default model with n-gram speculation on real vLLM, and the product's whole cell path on it."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounting import metric_names as names
from serving.scrape import parse_page
from workbench.server_under_test import ServerUnderTest


@pytest.fixture(scope="module")
def server(start_server: Any) -> Iterator[ServerUnderTest]:
    """SmolLM2 with the demo's n-gram settings."""
    speculation = {
        "method": "ngram",
        "num_speculative_tokens": 6,
        "prompt_lookup_min": 2,
        "prompt_lookup_max": 4,
    }
    with start_server(
        {"model": {"name": "smollm2-135m-instruct", "max_model_len": 2048}, "speculation": speculation}
    ) as s:
        yield s


def test_it_answers_a_question_sensibly(server: ServerUnderTest, chat: Callable[..., dict[str, Any]]) -> None:
    answer = chat(server, "Complete the sentence: The capital of France is")
    assert "Paris" in answer["choices"][0]["message"]["content"]


def test_what_the_engine_resolved_is_read_back(server: ServerUnderTest) -> None:
    assert server.version == "0.32.0"
    assert server.resolved["speculative_config.method"] == "ngram"
    assert server.resolved["speculative_config.prompt_lookup_max"] == 4
    assert server.resolved["scheduler_config.max_num_seqs"] == 16
    assert server.resolved["cache_config.kv_cache_memory_bytes"] == 1 << 30
    assert server.resolved["model_config.generation_config"] == "vllm"


def test_the_fast_libraries_are_preloaded(server: ServerUnderTest) -> None:
    """A CPU server without them is measured at a fraction of its speed. CI must have both."""
    assert server.command is not None
    preloaded = server.command.environment.get("LD_PRELOAD", "")
    if not os.environ.get("CI") and "tcmalloc" not in preloaded:
        pytest.skip("tcmalloc is not installed: make system-deps")
    assert "libiomp5" in preloaded
    assert "tcmalloc" in preloaded


def test_every_metric_name_we_rely_on_is_really_there(server: ServerUnderTest) -> None:
    with server.endpoints() as endpoints:
        sample = parse_page(endpoints.metrics_page())
        assert endpoints.reset_prefix_cache()
    assert sample.missing_required() == ()
    for name in (
        *names.SPECULATION_COUNTERS,
        names.PREFIX_CACHE_QUERIES,
        names.PREFIX_CACHE_HITS,
        names.PREEMPTIONS,
    ):
        assert name in sample.counters
    for name in names.GAUGES:
        assert name in sample.gauges
    assert sample.process_start_time is not None


def test_a_cell_on_copy_work_reconciles_to_the_token_and_speculation_pays_off(
    server: ServerUnderTest, measured_cell: Callable[..., dict[str, Any]]
) -> None:
    cell = measured_cell(server, workload="copy", streams=4)
    assert cell["reconciled"], cell["reason"]
    assert cell["reconciliation"]["token_ids_checked"] >= 4
    assert cell["failed"] == 0
    assert cell["caches_reset"]
    assert cell["requests"] > 4
    assert cell["acceptance_length"]["value"] > 2.5, "copying is what n-grams are good at"
    assert cell["tokens_per_step"]["value"] > 1.5
    rates = cell["acceptance_by_position"]
    assert len(rates) == 6
    assert rates == sorted(rates, reverse=True), "a later position cannot be accepted more often"
    assert cell["length_drift"] is None


def test_a_second_cell_on_the_same_server_starts_from_a_clean_cache(
    server: ServerUnderTest, measured_cell: Callable[..., dict[str, Any]]
) -> None:
    cell = measured_cell(server, workload="chat", streams=2, window_s=5.0)
    assert cell["reconciled"], cell["reason"]
    assert cell["prefix_cache_hit_share"] < 0.05
    assert cell["acceptance_length"]["value"] is not None
    assert cell["acceptance_length"]["value"] < 4

"""The metrics page: vLLM's names and labels, and counts that agree with what clients were sent."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing, parse_fault_script

GOLDEN = Path(__file__).parent / "golden" / "metrics_vllm_0_32_ngram.prom"
USAGE = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One HTTP client for the whole file: making one is slower than most tests here."""
    with httpx.Client(trust_env=False, timeout=20) as opened:
        yield opened


def page_of(client: httpx.Client, server: RunningFakeServer) -> dict[str | tuple[str, ...], float]:
    """Sample values by name, and by (name, value) for the samples with one label of their own."""
    values = {}
    for family in text_string_to_metric_families(client.get(f"{server.url}/metrics").text):
        for sample in family.samples:
            own = [sample.labels[key] for key in ("finished_reason", "position") if key in sample.labels]
            values[(sample.name, *own) if own else sample.name] = sample.value
    return values


def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "never came to be"
        time.sleep(0.005)


def stream(
    client: httpx.Client, server: RunningFakeServer, prompt: str, **body: object
) -> tuple[list[int], str | None, dict[str, int]]:
    """Token counts of each content chunk, the finish reason, and the usage stated last."""
    sizes: list[int] = []
    reason, usage = None, {}
    asked = {"prompt": prompt, "stream": True, "return_token_ids": True} | USAGE | body
    with client.stream("POST", f"{server.url}/v1/completions", json=asked) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                event = json.loads(line[6:])
                usage = event["usage"]
                for choice in event["choices"]:
                    sizes.append(len(choice["token_ids"]))
                    reason = choice["finish_reason"]
                    assert event["usage"]["completion_tokens"] == sum(sizes)
    return sizes, reason, usage


def samples_by_name(text: str) -> dict[str, set[str]]:
    """The label keys of each sample name on a page."""
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_names_and_labels_are_those_of_the_real_page(client: httpx.Client) -> None:
    """Nothing here that the page of vLLM 0.32 lacks, buckets included."""
    real = samples_by_name(GOLDEN.read_text(encoding="utf-8"))
    with RunningFakeServer(FakeServerConfig(num_speculative_tokens=6)) as server:
        response = client.get(f"{server.url}/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    ours = samples_by_name(response.text)
    assert set(ours) <= set(real)
    info = "vllm:cache_config_info"
    assert ours.pop(info) <= real[info]
    assert ours == {name: real[name] for name in ours}
    buckets = {
        kind: {
            (sample.name, sample.labels["le"])
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name in ours and "le" in sample.labels
        }
        for kind, text in (("real", GOLDEN.read_text(encoding="utf-8")), ("ours", response.text))
    }
    assert buckets["ours"] == buckets["real"]


@pytest.mark.parametrize(
    ("script", "drafted_k"),
    [(1, 0), (1, 5), (3, 0), ((1, 4, 2), 0), ((1, 4, 2), 6), (7, 6)],
)
def test_counts_agree_with_what_was_sent(
    client: httpx.Client, script: int | tuple[int, ...], drafted_k: int
) -> None:
    """Chunks, usage and counters tell the same story, however many tokens a chunk has."""
    timing = Timing(ttft_s=0.0, tpot_s=0.0, tokens_per_chunk=script)
    config = FakeServerConfig(timing=timing, natural_length=(1, 40), num_speculative_tokens=drafted_k)
    lengths = (1, 2, 5, 16, 23, 40)
    with RunningFakeServer(config) as server:
        sent = [stream(client, server, f"p{n} q r", max_tokens=n, ignore_eos=n % 2 == 0) for n in lengths]
        page = page_of(client, server)
    repeated = timing.script * 50
    for sizes, _, usage in sent:
        expected = [1, *repeated[: len(sizes) - 1]]
        assert sizes[:-1] == expected[:-1]
        assert 1 <= sizes[-1] <= expected[-1]
        assert usage == {
            "prompt_tokens": 3, "total_tokens": 3 + sum(sizes), "completion_tokens": sum(sizes),
        }  # fmt: skip
    tokens = sum(sum(sizes) for sizes, _, _ in sent)
    steps = sum(len(sizes) - 1 for sizes, _, _ in sent)
    assert page["vllm:generation_tokens_total"] == tokens
    assert page["vllm:prompt_tokens_total"] == page["vllm:prefix_cache_queries_total"] == 18
    assert page["vllm:inter_token_latency_seconds_count"] == steps
    assert page["vllm:time_to_first_token_seconds_count"] == len(sent)
    assert page["vllm:e2e_request_latency_seconds_count"] == len(sent)
    for reason in ("stop", "length"):
        counted = page["vllm:request_success_total", reason]
        assert counted == sum(given == reason for _, given, _ in sent)
    check_speculation(page, config, [sizes for sizes, _, _ in sent])


def check_speculation(
    page: dict[str | tuple[str, ...], float], config: FakeServerConfig, answers: list[list[int]]
) -> None:
    """Accepted drafts are exactly the tokens beyond one per step."""
    k = config.draft_tokens
    if not k:
        assert not any("spec_decode" in str(name) for name in page)
        return
    drafted = sum(
        config.timing.script[at % len(config.timing.script)] > 1
        for sizes in answers
        for at in range(len(sizes) - 1)
    )
    accepted = page["vllm:spec_decode_num_accepted_tokens_total"]
    assert page["vllm:spec_decode_num_drafts_total"] == drafted
    assert page["vllm:spec_decode_num_draft_tokens_total"] == drafted * k
    assert sum(map(sum, answers)) == sum(map(len, answers)) + accepted
    per_position = [page["vllm:spec_decode_num_accepted_tokens_per_pos_total", str(at)] for at in range(k)]
    assert sum(per_position) == accepted
    assert per_position == sorted(per_position, reverse=True)


def test_an_abort_counts_the_tokens_made_so_far(client: httpx.Client) -> None:
    """And the slot goes to the next request."""
    config = FakeServerConfig(timing=Timing(ttft_s=0.0, tpot_s=0.02, max_concurrency=1))
    with RunningFakeServer(config) as server:
        body = {"prompt": "a b", "stream": True, "max_tokens": 500, "ignore_eos": True}
        with client.stream("POST", f"{server.url}/v1/completions", json=body) as response:
            lines = (line for line in response.iter_lines() if line)
            seen = [next(lines) for _ in range(5)]
            page = page_of(client, server)
            assert page["vllm:num_requests_running"] == 1
            assert 0 < page["vllm:kv_cache_usage_perc"] < 1
        until(lambda: page_of(client, server)["vllm:request_success_total", "abort"] == 1)
        page = page_of(client, server)
        assert len(seen) <= page["vllm:generation_tokens_total"] < 100
        assert page["vllm:num_requests_running"] == 0
        assert page["vllm:e2e_request_latency_seconds_count"] == 1
        assert page["vllm:request_success_total", "length"] == 0
        # The slot is free again.
        assert stream(client, server, "c", max_tokens=2, ignore_eos=True)[1] == "length"


def test_requests_beyond_the_limit_wait_and_one_that_gives_up_there_is_an_abort(client: httpx.Client) -> None:
    """Two run, two wait, a fifth leaves."""
    config = FakeServerConfig(timing=Timing(ttft_s=0.4, tpot_s=0.0, max_concurrency=2))
    with RunningFakeServer(config) as server:
        body = {"max_tokens": 3, "ignore_eos": True}
        start_s = time.monotonic()
        threads = [
            threading.Thread(target=stream, args=(client, server, f"p{n}"), kwargs=body) for n in range(4)
        ]
        for thread in threads:
            thread.start()
        until(lambda: page_of(client, server)["vllm:num_requests_waiting"] == 2)
        assert page_of(client, server)["vllm:num_requests_running"] == 2
        with (
            pytest.raises(httpx.ReadTimeout),
            client.stream("POST", f"{server.url}/v1/completions", json={"prompt": "x", "stream": True},
                          timeout=0.02) as response,
        ):  # fmt: skip
            response.read()
        for thread in threads:
            thread.join()
        assert time.monotonic() - start_s >= 0.8
        until(lambda: page_of(client, server)["vllm:request_success_total", "abort"] == 1)
        page = page_of(client, server)
    assert page["vllm:request_success_total", "length"] == 4
    assert page["vllm:generation_tokens_total"] == 12
    assert page["vllm:num_requests_waiting"] == page["vllm:num_requests_running"] == 0
    assert page["vllm:request_queue_time_seconds_sum"] >= 0.5
    assert page["vllm:time_to_first_token_seconds_sum"] >= 1.6 + 0.5


def test_prefix_cache_hits_and_reset(client: httpx.Client) -> None:
    """A prompt hits what it has in common with the beginning of any seen since the reset, never its last token."""
    config = FakeServerConfig(timing=Timing(ttft_s=0, tpot_s=0), block_size=1)
    with RunningFakeServer(config) as server:

        def hits(prompt="w x y z"):
            stream(client, server, prompt, max_tokens=1)
            page = page_of(client, server)
            assert page["vllm:prefix_cache_hits_total"] == page["vllm:prompt_tokens_cached_total"]
            return page["vllm:prefix_cache_queries_total"], page["vllm:prefix_cache_hits_total"]

        assert hits() == (4, 0)
        assert hits() == (8, 3)
        assert client.post(f"{server.url}/reset_prefix_cache").json() == {"success": True}
        assert hits() == (12, 3)
        assert hits("w x other") == (15, 5)
        assert hits("x y z") == (18, 5), "the same tokens behind others are another block"


def test_a_reset_that_lies_keeps_every_block(client: httpx.Client) -> None:
    faults = parse_fault_script([{"kind": "reset_lies"}])
    with RunningFakeServer(FakeServerConfig(block_size=1, faults=faults)) as server:
        for _ in range(2):
            stream(client, server, "w x y z", max_tokens=1)
            assert client.post(f"{server.url}/reset_prefix_cache").json() == {"success": True}
        assert page_of(client, server)["vllm:prefix_cache_hits_total"] == 3


def test_a_suffix_drafter_knows_the_answers_of_its_life_whatever_is_reset(client: httpx.Client) -> None:
    """Two tokens a step for a new prompt, all of the draft for one that was answered before."""
    timing = Timing(ttft_s=0, tpot_s=0, tokens_per_chunk=(2, 4))
    config = FakeServerConfig(timing=timing, num_speculative_tokens=3, speculative_method="suffix")
    with RunningFakeServer(config) as server:
        asked = {"max_tokens": 13, "ignore_eos": True}
        assert stream(client, server, "a b", **asked)[0] == [1, 2, 2, 2, 2, 2, 2]
        client.post(f"{server.url}/reset_prefix_cache")
        assert stream(client, server, "a b", **asked)[0] == [1, 4, 4, 4]
        assert stream(client, server, "c d", **asked)[0] == [1, 2, 2, 2, 2, 2, 2]


def test_prefix_hits_come_in_whole_blocks(client: httpx.Client) -> None:
    """Seven reusable tokens are one block of four."""
    with RunningFakeServer(FakeServerConfig(timing=Timing(ttft_s=0, tpot_s=0), block_size=4)) as server:
        for _ in range(2):
            stream(client, server, "a b c d e f g h", max_tokens=1)
        assert page_of(client, server)["vllm:prefix_cache_hits_total"] == 4


def test_reset_is_refused_when_scripted_or_while_requests_run(client: httpx.Client) -> None:
    """Both answer 200 with success false."""
    with RunningFakeServer(FakeServerConfig(prefix_reset_succeeds=False)) as server:
        assert client.post(f"{server.url}/reset_prefix_cache").json() == {"success": False}
    with RunningFakeServer(FakeServerConfig(timing=Timing(ttft_s=0, tpot_s=0.05))) as server:
        body = {"prompt": "x", "stream": True, "max_tokens": 400, "ignore_eos": True}
        with client.stream("POST", f"{server.url}/v1/completions", json=body) as response:
            lines = response.iter_lines()
            assert next(lines).startswith("data: {")
            assert client.post(f"{server.url}/reset_prefix_cache").json() == {"success": False}

"""Whether a drafter remembers answers: by its method, else by asking the same twice."""

from typing import Any

import httpx
import pytest

from serving.endpoints import ServerEndpoints
from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing, parse_fault_script
from workbench.drafter_memory import ServerMemory, server_memory
from workbench.server_under_test import ServerUnderTest

DRAFTING = Timing(ttft_s=0, tpot_s=0, tokens_per_chunk=(2, 4))


def looked_at(config: FakeServerConfig, resolved: dict[str, Any], *, answered: bool = True) -> ServerMemory:
    """What is found of a server that has given one answer of 20 tokens."""
    with RunningFakeServer(config) as running:
        if answered:
            body = {"prompt": "a b c", "max_tokens": 20, "ignore_eos": True}
            httpx.post(f"{running.url}/v1/completions", json=body, trust_env=False).raise_for_status()
        server = ServerUnderTest(running.url, "fake-model", resolved=resolved)
        with ServerEndpoints(running.url) as endpoints:
            return server_memory(server, endpoints, "fake-model")


def config(method: str, *faults: dict[str, Any]) -> FakeServerConfig:
    return FakeServerConfig(
        timing=DRAFTING, speculative_method=method, faults=parse_fault_script(list(faults))
    )


@pytest.mark.parametrize(
    ("resolved", "remembers"),
    [
        ({"speculative_config.method": "suffix"}, True),
        ({"speculative_config.method": "suffix", "speculative_config.suffix_decoding_max_cached_requests": 0}, False),
        ({"speculative_config.method": "suffix", "speculative_config.suffix_decoding_max_cached_requests": 9}, True),
        ({"speculative_config.method": "eagle3"}, False),
        ({"speculative_config.method": "deepseek_mtp"}, False),
    ],
)  # fmt: skip
def test_a_known_method_is_believed_and_nothing_is_asked(resolved: dict[str, Any], remembers: bool) -> None:
    no_answers = {"kind": "status", "status": 500, "on_request": 2, "path": "/v1/completions"}
    assert looked_at(config("suffix", no_answers), resolved) == ServerMemory(20, remembers)


@pytest.mark.parametrize("resolved", [{}, {"speculative_config.method": "custom_class"}])
@pytest.mark.parametrize(("method", "remembers"), [("suffix", True), ("ngram", False)])
def test_a_server_that_does_not_say_is_asked_the_same_twice(
    method: str, remembers: bool, resolved: dict[str, Any]
) -> None:
    assert looked_at(config(method), resolved) == ServerMemory(20, remembers)


def test_a_server_that_does_not_speculate_remembers_nothing() -> None:
    assert looked_at(FakeServerConfig(timing=Timing(ttft_s=0, tpot_s=0)), {}) == ServerMemory(20, False)


def test_a_fresh_server_is_not_asked_and_one_that_refuses_is_not_judged() -> None:
    fresh = looked_at(config("suffix"), {}, answered=False)
    assert (fresh.generated_tokens, fresh.remembers) == (0, None)
    assert "answered nothing yet" in fresh.why_unknown
    refusing = looked_at(config("suffix", {"kind": "status", "status": 503, "on_request": 3}), {})
    assert refusing.remembers is None
    assert "asking the same twice failed" in refusing.why_unknown


def test_a_server_is_asked_once() -> None:
    """Four answers of 48 tokens after the first of 20, however many cells follow."""
    with RunningFakeServer(config("ngram")) as running, ServerEndpoints(running.url) as endpoints:
        body = {"prompt": "a b c", "max_tokens": 20, "ignore_eos": True}
        httpx.post(f"{running.url}/v1/completions", json=body, trust_env=False).raise_for_status()
        server = ServerUnderTest(running.url, "fake-model")
        found = [server_memory(server, endpoints, "fake-model") for _ in range(3)]
    assert found == [ServerMemory(20, False), *[ServerMemory(20 + 4 * 48, False)] * 2]

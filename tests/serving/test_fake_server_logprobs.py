"""The fake server's log-probabilities in vLLM's shapes, and the fault that makes it lossy."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing, parse_fault_script
from serving.fake_server.answers import answer_words

TIMING = Timing(ttft_s=0, tpot_s=0, tokens_per_chunk=(1, 3))
CHAT = {"messages": [{"role": "user", "content": "of boats"}], "logprobs": True, "top_logprobs": 2}
TEXT = {"prompt": "of boats", "logprobs": 2}
COMMON = {"max_tokens": 8, "ignore_eos": True, "return_token_ids": True, "return_tokens_as_token_ids": True}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with RunningFakeServer(FakeServerConfig(timing=TIMING)) as running:
        yield running.url


def choice_of(server: str, path: str, body: dict[str, object]) -> dict[str, Any]:
    answered = httpx.post(server + path, json=body, trust_env=False).json()
    choice: dict[str, Any] = answered["choices"][0]
    return choice


def test_a_chat_lists_its_own_token_first_and_then_a_less_likely_one(server: str) -> None:
    choice = choice_of(server, "/v1/chat/completions", CHAT | COMMON)
    content = choice["logprobs"]["content"]
    assert [entry["token"] for entry in content] == [f"token_id:{token}" for token in choice["token_ids"]]
    for entry in content:
        first, second = entry["top_logprobs"]
        assert first["token"] == entry["token"]
        assert second["logprob"] < first["logprob"] == entry["logprob"] < 0
    assert choice_of(server, "/v1/chat/completions", CHAT | COMMON) == choice


def test_a_completion_says_the_same_in_its_own_shape(server: str) -> None:
    choice = choice_of(server, "/v1/completions", TEXT | COMMON)
    logprobs = choice["logprobs"]
    assert logprobs["tokens"] == [f"token_id:{token}" for token in choice["token_ids"]]
    for name, logprob, listed in zip(
        logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True
    ):
        assert len(listed) == 2
        assert max(listed.values()) == listed[name] == logprob


def test_a_stream_says_the_same_as_the_whole_answer(server: str) -> None:
    whole = choice_of(server, "/v1/chat/completions", CHAT | COMMON)["logprobs"]["content"]
    streamed: list[Any] = []
    with httpx.stream(
        "POST", f"{server}/v1/chat/completions", json=CHAT | COMMON | {"stream": True}, trust_env=False
    ) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                logprobs = httpx.Response(200, text=line.removeprefix("data: ")).json()["choices"][0][
                    "logprobs"
                ]
                streamed += logprobs["content"] if logprobs else []
    assert streamed == whole


def test_what_was_not_asked_for_is_null_and_tokens_are_words_by_default(server: str) -> None:
    assert choice_of(server, "/v1/chat/completions", {"messages": CHAT["messages"]})["logprobs"] is None
    assert choice_of(server, "/v1/completions", {"prompt": "x"})["logprobs"] is None
    (word, *_) = choice_of(server, "/v1/completions", TEXT)["logprobs"]["tokens"]
    assert not word.startswith("token_id:")


def test_one_word_in_so_many_is_wrong_and_the_same_ones_again() -> None:
    wrong = 0
    for number in range(400):
        right, lossy, again = (answer_words(f"prompt {number}", 7, one_in) for one_in in (0, 50, 50))
        pairs = [(next(right), next(lossy), next(again)) for _ in range(20)]
        assert all(b == c for _, b, c in pairs)
        wrong += any(a != b for a, b, _ in pairs)
    assert wrong == pytest.approx(400 * (1 - 0.98**20), abs=3 * 9.5)  # three standard deviations


def test_the_fault_makes_answers_differ_and_leaves_the_lengths() -> None:
    rules = parse_fault_script([{"kind": "wrong_token", "one_in": 4}])
    with RunningFakeServer(FakeServerConfig(timing=TIMING)) as honest:
        right = choice_of(honest.url, "/v1/completions", TEXT | COMMON | {"max_tokens": 40})
    with RunningFakeServer(FakeServerConfig(timing=TIMING, faults=rules)) as lossy:
        wrong = choice_of(lossy.url, "/v1/completions", TEXT | COMMON | {"max_tokens": 40})
    assert len(right["token_ids"]) == len(wrong["token_ids"]) == len(wrong["logprobs"]["tokens"]) == 40
    assert right["token_ids"] != wrong["token_ids"]

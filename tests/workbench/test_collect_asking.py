import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from drafts.replay.traces import Trace
from loadtest.workloads import Message, Prompt, Split
from loadtest.workloads.prompt import Sampling
from workbench.collect_asking import CollectAsk, NoTokenIdsError, collected, is_greedy
from workbench.quality.asking import ItemFailedError, ServerGoneError

PROMPT = Prompt("w-1", "w", "t", Split.TRAIN, (Message("system", "Be brief."), Message("user", "Hello.")))
ASK = CollectAsk("m", "chat", max_tokens=16, beyond=0)
GOOD = {"choices": [{"token_ids": [7, 8], "finish_reason": "stop"}], "prompt_token_ids": [1, 2, 3]}
Bodies = list[tuple[str, dict[str, Any]]]


def asked(
    answer: Callable[[str], Any], prompt: Prompt = PROMPT, ask: CollectAsk = ASK
) -> tuple[Trace, Bodies]:
    """What `answer(path)` makes of the prompt, and what was sent."""
    sent: Bodies = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append((request.url.path, json.loads(request.content)))
        said = answer(request.url.path)
        return said if isinstance(said, httpx.Response) else httpx.Response(200, json=said)

    async def go() -> Trace:
        transport = httpx.MockTransport(handle)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as http:
            return await collected(http, prompt, ask)

    return asyncio.run(go()), sent


def test_a_chat_is_asked_greedily_with_its_ids_and_becomes_a_trace() -> None:
    trace, [(path, body)] = asked(lambda _path: GOOD)
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."}],
        "max_tokens": 16,
        "temperature": 0.0,
        "return_token_ids": True,
    }
    assert trace == Trace(
        id="w-1",
        label="w",
        template="t",
        prompt_token_ids=[1, 2, 3],
        output_token_ids=[7, 8],
        model="m",
        finish_reason="stop",
    )


def test_a_completion_has_its_ids_in_the_choice_and_a_smaller_limit_of_its_own() -> None:
    said = {"choices": [GOOD["choices"][0] | {"prompt_token_ids": [5]}]}  # type: ignore[index]
    trace, [(path, body)] = asked(
        lambda _path: said, replace(PROMPT, max_tokens=9), replace(ASK, endpoint="completions")
    )
    assert (path, body["prompt"], body["max_tokens"]) == ("/v1/completions", "Be brief.\n\nHello.", 9)
    assert trace.prompt_token_ids == [5]


def test_what_lies_behind_the_end_is_asked_on_from_the_tokens() -> None:
    def answer(path: str) -> Any:
        after = {"choices": [{"token_ids": [9, 9], "prompt_token_ids": [1], "finish_reason": "length"}]}
        return after if path == "/v1/completions" else GOOD

    trace, [_, (path, body)] = asked(answer, ask=replace(ASK, beyond=2))
    assert path == "/v1/completions"
    assert (body["prompt"], body["max_tokens"], body["ignore_eos"]) == ([1, 2, 3, 7, 8], 2, True)
    assert trace.beyond_token_ids == [9, 9]


def test_where_no_room_is_left_behind_the_end_the_answer_stands_alone() -> None:
    def answer(path: str) -> Any:
        refused = httpx.Response(400, json={"error": {"message": "no room"}})
        return refused if path == "/v1/completions" else GOOD

    trace, sent = asked(answer, ask=replace(ASK, beyond=2))
    assert (trace.beyond_token_ids, len(sent)) == ([], 2)


@pytest.mark.parametrize(
    ("sampling", "greedy"),
    [
        (None, True),
        (Sampling(temperature=0, stop=("x",), seed=1), True),
        (Sampling(temperature=0.5), False),
        (Sampling(repetition_penalty=1.1), False),
    ],
)
def test_only_the_greedy_have_something_behind_their_end(sampling: Sampling | None, greedy: bool) -> None:
    prompt = replace(PROMPT, sampling=sampling)
    _, sent = asked(lambda _path: GOOD, prompt, replace(ASK, beyond=2))
    assert is_greedy(prompt) is greedy
    assert len(sent) == 1 + greedy


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (GOOD | {"prompt_token_ids": None}, NoTokenIdsError, "gives no token ids"),
        (GOOD | {"choices": [{"finish_reason": "stop"}]}, NoTokenIdsError, "gives no token ids"),
        (GOOD | {"choices": [{"token_ids": [7], "finish_reason": "abort"}]}, ItemFailedError, "abort"),
        (GOOD | {"choices": [{"token_ids": []}]}, ItemFailedError, "no trace"),
        (GOOD | {"choices": [{"token_ids": [-1]}]}, ItemFailedError, "no trace"),
        (GOOD | {"choices": [{"token_ids": "7"}]}, ItemFailedError, "no trace"),
        ({"choices": []}, ItemFailedError, "without a choice"),
        (httpx.Response(200, text="not JSON"), ItemFailedError, "not JSON"),
        (httpx.Response(500, text="oh"), ItemFailedError, "HTTP 500"),
    ],
)
def test_what_is_no_answer_is_told_apart(said: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        asked(lambda _path: said)


def test_a_lost_connection_is_not_the_prompts_fault() -> None:
    def lost(_path: str) -> Any:
        raise httpx.ConnectError("refused")

    with pytest.raises(ServerGoneError):
        asked(lost)

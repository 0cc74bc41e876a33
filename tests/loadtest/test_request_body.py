"""What a request says: the endpoint's form, lengths, sampling by layers, and nothing that another server refuses."""

import json
from dataclasses import replace
from typing import Any

import pytest

from accounting.errors import ConfigError
from loadtest.load_spec_examples import load_spec
from loadtest.request_body import request_body
from loadtest.workloads import Message, Prompt, Split
from loadtest.workloads.prompt import Sampling

PROMPT = Prompt(
    "p", "chat", "t", Split.MEASURED, (Message("system", "Be brief."), Message("user", "Name a river."))
)
SAID = [Message("assistant", "The Elbe."), Message("user", "How long is it?")]


def body(prompt: Prompt = PROMPT, *, exactly: bool = False, said: Any = (), **changes: Any) -> dict[str, Any]:
    more = {"return_token_ids": True} if changes.pop("return_token_ids", False) else {}
    told: dict[str, Any] = json.loads(
        request_body(load_spec(**changes), prompt, max_tokens=12, exactly=exactly, said=said, **more)
    )
    return told


def test_a_plain_chat_request_fits_any_server() -> None:
    assert body(vllm_extensions=False, exactly=True, cache_salt="s", return_token_ids=True) == {
        "model": "fake-model",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Name a river."},
        ],
        "max_tokens": 12,
        "temperature": 0.0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_vllms_own_fields_are_sent_to_vllm() -> None:
    told = body(exactly=True, cache_salt="s", return_token_ids=True)
    assert told["ignore_eos"] is True
    assert told["cache_salt"] == "s"
    assert told["return_token_ids"] is True
    assert told["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
    assert {"ignore_eos", "cache_salt", "return_token_ids"}.isdisjoint(body())


def test_a_conversation_is_said_again_with_its_next_question() -> None:
    assert [m["content"] for m in body(said=SAID)["messages"]] == [
        "Be brief.", "Name a river.", "The Elbe.", "How long is it?",
    ]  # fmt: skip
    told = body(said=SAID, endpoint="completions")
    assert told["prompt"] == "Be brief.\n\nName a river.\n\nThe Elbe.\n\nHow long is it?"
    assert "messages" not in told


def test_exact_tokens_go_to_the_completions_endpoint_only() -> None:
    tokens = replace(PROMPT, messages=(), token_ids=(5, 6, 7))
    assert body(tokens, endpoint="completions")["prompt"] == [5, 6, 7]
    with pytest.raises(ConfigError) as raised:
        body(tokens)
    assert "--endpoint completions" in raised.value.hint


def test_a_prompts_sampling_goes_over_the_loads_over_greedy() -> None:
    assert body()["temperature"] == 0.0
    load = Sampling(temperature=0.7, top_p=0.9, seed=3)
    told = body(sampling=load)
    assert (told["temperature"], told["top_p"], told["seed"]) == (0.7, 0.9, 3)
    assert "top_k" not in told, "what is not set is the server's to decide"
    told = body(replace(PROMPT, sampling=Sampling(temperature=1.0, stop=("END",))), sampling=load)
    assert (told["temperature"], told["top_p"], told["stop"]) == (1.0, 0.9, ["END"])

import json
from typing import Any

from loadtest.chat_request import request_body
from loadtest.workloads.prompt import Message, Prompt, Split

PROMPT = Prompt("p-1", "chat", "t", Split.MEASURED, (Message("user", "Hello"),), max_tokens=9)


def body(**more: Any) -> dict[str, Any]:
    settings = {"model": "m", "max_tokens": 40, "ignore_eos": False, "return_token_ids": False} | more
    decoded: dict[str, Any] = json.loads(request_body(PROMPT, **settings))
    return decoded


def test_a_server_of_another_make_is_sent_nothing_that_only_vllm_knows() -> None:
    assert body(running_usage=False) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 9,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_vllm_is_asked_for_a_running_count_ids_and_a_salt() -> None:
    sent = body(return_token_ids=True, ignore_eos=True, cache_salt="s")
    assert sent["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
    assert (sent["return_token_ids"], sent["ignore_eos"], sent["cache_salt"]) == (True, True, "s")

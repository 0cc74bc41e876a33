"""What the fake server answers: event shapes, bodies, errors, and the endpoints around them."""

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from accounting.errors import ConfigError, MachineError
from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing

FAST = Timing(ttft_s=0.0, tpot_s=0.0)
CHAT = {"model": "smol", "messages": [{"role": "user", "content": "tell me about the café lighthouse"}]}
STREAMED = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One HTTP client for the whole file: making one is slower than most tests here."""
    with httpx.Client(trust_env=False, timeout=10) as opened:
        yield opened


@pytest.fixture(scope="module")
def server() -> Iterator[RunningFakeServer]:
    """A server without delays that many tests share."""
    config = FakeServerConfig(model="smol", timing=FAST, natural_length=(20, 30), max_model_len=100)
    with RunningFakeServer(config) as running:
        yield running


def events_of(response: httpx.Response) -> list[Any]:
    """The data of each event, parsed; `[DONE]` stays text."""
    blocks = response.text.split("\n\n")
    assert blocks.pop() == ""
    assert all(block.startswith("data: ") for block in blocks)
    return [block[6:] if block == "data: [DONE]" else json.loads(block[6:]) for block in blocks]


def test_chat_stream_has_the_shapes_of_vllm(server: RunningFakeServer, client: httpx.Client) -> None:
    """Key for key, in order: role, tokens, usage, end."""
    response = client.post(
        f"{server.url}/v1/chat/completions",
        json=CHAT | STREAMED | {"return_token_ids": True, "max_tokens": 3, "temperature": 0, "seed": 1},
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    first, *content, usage, done = events_of(response)
    prompt_ids = first["prompt_token_ids"]
    base = {key: first[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    assert first == base | {
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": ""},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
        "usage": {"prompt_tokens": 8, "total_tokens": 8, "completion_tokens": 0},
        "prompt_token_ids": prompt_ids,
        "prompt_text": None,
    }
    assert len(prompt_ids) == 8
    assert list(first) == [
        "id", "object", "created", "model", "choices", "usage", "prompt_token_ids", "prompt_text",
    ]  # fmt: skip
    assert len(content) == 3
    for number, event in enumerate(content, start=1):
        (choice,) = event["choices"]
        ending = {"finish_reason": "length", "stop_reason": None} if number == 3 else {"finish_reason": None}
        assert choice == {
            "index": 0,
            "delta": {"content": choice["delta"]["content"]},
            "logprobs": None,
            "token_ids": choice["token_ids"],
            **ending,
        }
        assert choice["delta"]["content"]
        assert len(choice["token_ids"]) == 1
        assert event == base | {
            "choices": [choice],
            "usage": {"prompt_tokens": 8, "total_tokens": 8 + number, "completion_tokens": number},
        }
    assert usage == base | {
        "choices": [],
        "usage": {"prompt_tokens": 8, "total_tokens": 11, "completion_tokens": 3},
        "system_fingerprint": "vllm-0.32.0-fake",
    }
    assert done == "[DONE]"
    assert base["id"].startswith("chatcmpl-")


def test_nothing_is_stated_that_was_not_asked_for(server: RunningFakeServer, client: httpx.Client) -> None:
    """Without options there is no usage, and ids are null as in vLLM."""
    response = client.post(f"{server.url}/v1/chat/completions", json=CHAT | {"stream": True})
    *events, done = events_of(response)
    assert done == "[DONE]"
    assert all(event["choices"] and "usage" not in event for event in events)
    assert events[0]["prompt_token_ids"] is None
    assert all(event["choices"][0]["token_ids"] is None for event in events[1:])
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    assert 20 <= len(events) - 1 <= 30


def test_include_usage_alone_states_it_once(server: RunningFakeServer, client: httpx.Client) -> None:
    """Without continuous stats only the last event has usage."""
    body = CHAT | {"stream": True, "stream_options": {"include_usage": True}}
    *events, usage, _ = events_of(client.post(f"{server.url}/v1/chat/completions", json=body))
    assert all("usage" not in event for event in events)
    assert usage["usage"]["completion_tokens"] == len(events) - 1


def test_text_stream_puts_the_prompt_ids_in_the_first_choice(
    server: RunningFakeServer, client: httpx.Client
) -> None:
    """The other path's events differ where vLLM's do."""
    body = {"prompt": "one two three", "return_token_ids": True, "max_tokens": 2} | STREAMED
    first, second, usage, done = events_of(client.post(f"{server.url}/v1/completions", json=body))
    assert list(first) == ["id", "object", "created", "model", "choices", "usage"]
    assert first["object"] == "text_completion"
    assert list(first["choices"][0]) == [
        "index", "text", "logprobs", "finish_reason", "stop_reason", "prompt_token_ids", "token_ids",
    ]  # fmt: skip
    assert len(first["choices"][0]["prompt_token_ids"]) == 3
    assert second["choices"][0]["prompt_token_ids"] is None
    assert second["choices"][0]["finish_reason"] == "length"
    assert usage["usage"] == {"prompt_tokens": 3, "total_tokens": 5, "completion_tokens": 2}
    assert done == "[DONE]"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_whole_answer_equals_the_streamed_one(
    server: RunningFakeServer, client: httpx.Client, path: str
) -> None:
    """Streaming changes the envelope, not the answer."""
    body = CHAT if "chat" in path else {"prompt": "a b c", "max_tokens": 40}
    body = body | {"return_token_ids": True}
    whole = client.post(server.url + path, json=body).json()
    events = events_of(client.post(server.url + path, json=body | STREAMED))
    choices = [event["choices"][0] for event in events[:-2]]
    (choice,) = whole["choices"]
    text = "".join(piece["delta"]["content"] if "chat" in path else piece["text"] for piece in choices)
    assert (choice["message"]["content"] if "chat" in path else choice["text"]) == text
    assert choice["token_ids"] == [i for piece in choices for i in piece.get("token_ids", ())]
    assert choice["finish_reason"] == choices[-1]["finish_reason"]
    assert whole["usage"]["completion_tokens"] == events[-2]["usage"]["completion_tokens"]
    assert whole["object"] == ("chat.completion" if "chat" in path else "text_completion")


def test_answers_depend_on_the_prompt_and_the_seed_alone(client: httpx.Client) -> None:
    """Speculation must not change a text; another seed must."""

    def answer(url, text):
        body = {"prompt": text, "max_tokens": 30, "ignore_eos": True}
        return client.post(f"{url}/v1/completions", json=body).json()["choices"][0]["text"]

    def config(**changes):
        return FakeServerConfig(**{"timing": FAST} | changes)

    with (
        RunningFakeServer(config()) as one,
        RunningFakeServer(config(timing=Timing(ttft_s=0, tpot_s=0, tokens_per_chunk=4))) as speculating,
        RunningFakeServer(config(seed=1)) as reseeded,
    ):
        expected = answer(one.url, "p q")
        assert answer(one.url, "p q") == answer(speculating.url, "p q") == expected
        assert answer(one.url, "p r") != expected
        assert answer(reseeded.url, "p q") != expected
        assert any(len(word.encode()) > len(word) for word in expected.split())


def test_limits_on_length(server: RunningFakeServer, client: httpx.Client) -> None:
    """`max_tokens`, `ignore_eos`, the natural end and the context each end an answer."""

    def finish(body):
        answer = client.post(f"{server.url}/v1/chat/completions", json=CHAT | body).json()
        return answer["usage"]["completion_tokens"], answer["choices"][0]["finish_reason"]

    assert finish({"max_tokens": 5}) == (5, "length")
    assert finish({"max_tokens": 50, "max_completion_tokens": 7}) == (7, "length")
    natural, reason = finish({})
    assert (20 <= natural <= 30, reason) == (True, "stop")
    assert finish({"max_tokens": natural}) == (natural, "stop")
    assert finish({"max_tokens": natural + 9, "ignore_eos": True}) == (natural + 9, "length")
    assert finish({"ignore_eos": True}) == (100 - 8, "length")
    answer = client.post(f"{server.url}/v1/completions", json={"prompt": [5, 6, 7], "ignore_eos": True})
    assert answer.json()["usage"] | {"prompt_tokens": 3, "completion_tokens": 16} == answer.json()["usage"]


def test_unknown_model_is_refused_in_vllms_words(server: RunningFakeServer, client: httpx.Client) -> None:
    """The whole error body."""
    response = client.post(f"{server.url}/v1/chat/completions", json=CHAT | {"model": "zzz"})
    assert response.status_code == 404
    assert response.json() == {
        "error": {
            "message": "The model `zzz` does not exist. Valid aliases: smol.",
            "type": "NotFoundError",
            "param": "model",
            "code": 404,
        }
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"model": ', "JSON decode error"),
        (b"\xff\xfe", "JSON decode error"),
        (b"[]", "Expected `object`"),
        (b'{"model": "smol"}', "messages"),
        (b'{"messages": [], "max_tokens": "many"}', "max_tokens"),
        (b'{"messages": [], "max_tokens": 0}', "at least 1, got 0"),
        (b'{"messages": [], "stream_options": {}}', "Stream options can only"),
        (
            json.dumps({"messages": [{"role": "user", "content": "w " * 99}]}).encode(),
            "context length is 100",
        ),
    ],
)
def test_bad_requests_get_400(
    server: RunningFakeServer, client: httpx.Client, body: bytes, words: str
) -> None:
    """Broken JSON, wrong types and impossible limits."""
    response = client.post(f"{server.url}/v1/chat/completions", content=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert words in error["message"] + str(error["param"])
    assert error["code"] == 400


def test_endpoints_around(server: RunningFakeServer, client: httpx.Client) -> None:
    """Everything that is not a completion."""

    def get(path):
        return client.get(server.url + path)

    assert (get("/health").status_code, get("/health").content) == (200, b"")
    assert get("/ping").status_code == 200
    assert get("/version").json() == {"version": "0.32.0"}
    (card,) = get("/v1/models").json()["data"]
    assert card | {"id": "smol", "object": "model", "owned_by": "vllm", "max_model_len": 100} == card
    info = get("/server_info?config_format=json").json()["vllm_config"]
    assert info["scheduler_config"]["max_num_seqs"] == 64
    assert info["cache_config"]["num_gpu_blocks"] == 93184 // info["cache_config"]["block_size"]
    assert info["speculative_config"] is None
    assert isinstance(get("/server_info").json()["vllm_config"], str)
    for path in ("/reset_mm_cache", "/reset_encoder_cache"):
        assert client.post(server.url + path).status_code == 200
    assert get("/nowhere").json()["error"]["code"] == 404
    assert get("/v1/chat/completions").status_code == get("/reset_prefix_cache").status_code == 405


def test_server_info_states_the_speculation(client: httpx.Client) -> None:
    """What a run records as the speculation in force."""
    config = FakeServerConfig(num_speculative_tokens=6, speculative_method="suffix")
    with RunningFakeServer(config) as server:
        info = client.get(f"{server.url}/server_info", params={"config_format": "json"}).json()
    assert info["vllm_config"]["speculative_config"] == {
        "method": "suffix", "model": "suffix", "num_speculative_tokens": 6,
    }  # fmt: skip


def test_api_key_guards_v1_only(client: httpx.Client) -> None:
    """As vLLM does: /health needs no key."""
    with RunningFakeServer(FakeServerConfig(timing=FAST, api_key="sésame")) as server:
        url = f"{server.url}/v1/models"
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic sésame".encode()}):
            response = client.get(url, headers=headers)
            assert (response.status_code, response.json()) == (401, {"error": "Unauthorized"})
        assert client.get(f"{server.url}/health").status_code == 200
    with RunningFakeServer(FakeServerConfig(timing=FAST, api_key="sesame")) as server:
        response = client.get(f"{server.url}/v1/models", headers={"authorization": "Bearer sesame"})
        assert response.status_code == 200
        assert "sesame" not in repr(server.config)


def test_one_connection_carries_many_requests_even_sent_ahead(server: RunningFakeServer) -> None:
    """Requests read while an answer is under way are kept."""
    request = b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(request + request + last)
        received = b"".join(iter(lambda: sock.recv(65536), b""))
    assert received.count(b'{"version":"0.32.0"}') == 3


def test_a_client_that_does_not_speak_http_is_told_so(server: RunningFakeServer) -> None:
    """400 and the connection closed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(b"\x00\x01 what\r\n\r\n")
        received = b"".join(iter(lambda: sock.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 400 ")


def test_large_body_after_100_continue(server: RunningFakeServer) -> None:
    """As curl sends bodies over a megabyte."""
    body = json.dumps({"prompt": "x " * 90, "max_tokens": 1, "padding": "y" * 300_000}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(f"{head}expect: 100-continue\r\nconnection: close\r\n\r\n".encode())
        assert sock.recv(65536).startswith(b"HTTP/1.1 100 ")
        sock.sendall(body)
        received = b"".join(iter(lambda: sock.recv(65536), b""))
    assert b'"finish_reason":"length"' in received


def test_taken_port_is_a_machine_error(server: RunningFakeServer) -> None:
    """The failure reaches the thread that started the server."""
    with (
        pytest.raises(MachineError, match=f"cannot listen on 127.0.0.1:{server.port}"),
        RunningFakeServer(FakeServerConfig(port=server.port)),
    ):
        pass


@pytest.mark.parametrize(
    "make",
    [
        lambda: Timing(ttft_s=-1),
        lambda: Timing(tokens_per_chunk=0),
        lambda: Timing(tokens_per_chunk=()),
        lambda: Timing(max_concurrency=0),
        lambda: FakeServerConfig(natural_length=(5, 4)),
        lambda: FakeServerConfig(port=70000),
        lambda: FakeServerConfig(timing=Timing(tokens_per_chunk=5), num_speculative_tokens=3),
    ],
)
def test_impossible_configs_are_refused(make: Callable[[], object]) -> None:
    """Before anything listens."""
    with pytest.raises(ConfigError):
        make()


def test_tokenize_gives_the_ids_that_the_prompt_has(server: RunningFakeServer, client: httpx.Client) -> None:
    """A chat ready to be answered, a text, and nothing for an empty text without special tokens."""
    chat = client.post(f"{server.url}/tokenize", json=CHAT).json()
    assert (chat["count"], len(chat["tokens"]), chat["max_model_len"]) == (8, 8, 100)
    text = client.post(f"{server.url}/tokenize", json={"prompt": "one two three"}).json()
    assert text["count"] == 3
    empty = client.post(f"{server.url}/tokenize", json={"prompt": "", "add_special_tokens": False}).json()
    assert empty["tokens"] == []
    assert client.post(f"{server.url}/tokenize", json={}).status_code == 400
    assert client.post(f"{server.url}/tokenize", json={"prompt": "x", "model": "other"}).status_code == 404


def test_prompt_logprobs_have_the_shape_of_vllm(server: RunningFakeServer, client: httpx.Client) -> None:
    """One entry per prompt token, the first null, each other under its own id; null where not asked for."""
    body = {"prompt": [5, 6, 7], "max_tokens": 1}
    asked = client.post(f"{server.url}/v1/completions", json=body | {"prompt_logprobs": 0}).json()
    first, second, third = asked["choices"][0]["prompt_logprobs"]
    assert first is None
    assert second["6"]["logprob"] < 0
    assert list(third["7"]) == ["logprob", "rank", "decoded_token"]
    plain = client.post(f"{server.url}/v1/completions", json=body).json()
    assert plain["choices"][0]["prompt_logprobs"] is None


def test_more_than_four_stop_texts_are_refused_as_vllm_does(
    server: RunningFakeServer, client: httpx.Client
) -> None:
    """vLLM 0.32: "List should have at most 4 items after validation"."""
    body = {"prompt": "one", "max_tokens": 1, "stop": list("abcde")}
    refusal = client.post(f"{server.url}/v1/completions", json=body)
    assert (refusal.status_code, refusal.json()["error"]["param"]) == (400, "body.stop")
    assert client.post(f"{server.url}/v1/completions", json=body | {"stop": list("abcd")}).status_code == 200

"""What faulty streams say: dialects of the event stream, odd events, missing counts, odd endings."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing, parse_fault_script

CHAT: dict[str, object] = {
    "messages": [{"role": "user", "content": "a b c"}], "max_tokens": 6, "ignore_eos": True, "stream": True,
    "stream_options": {"include_usage": True, "continuous_usage_stats": True},
}  # fmt: skip
TEXT = {key: value for key, value in CHAT.items() if key != "messages"} | {"prompt": "a b c"}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=10) as opened:
        yield opened


def streamed(
    client: httpx.Client, *rules: dict[str, object], text: bool = False, tpot_s: float = 0.0
) -> httpx.Response:
    config = FakeServerConfig(timing=Timing(ttft_s=0, tpot_s=tpot_s), faults=parse_fault_script(list(rules)))
    with RunningFakeServer(config) as server:
        path = "/v1/completions" if text else "/v1/chat/completions"
        return client.post(server.url + path, json=TEXT if text else CHAT)


def events_of(response: httpx.Response) -> list[Any]:
    """The events' data, JSON read."""
    parts = [part.removeprefix("data: ") for part in response.text.split("\n\n")[:-1]]
    return [json.loads(part) if part.startswith("{") else part for part in parts]


def deltas(response: httpx.Response) -> list[dict[str, Any]]:
    return [
        choice["delta"]
        for event in events_of(response)
        if isinstance(event, dict)
        for choice in event["choices"]
    ]


def test_line_ends(client: httpx.Client) -> None:
    usual = streamed(client).content
    crlf = streamed(client, {"kind": "sse", "line_end": "crlf"}).content
    assert crlf.count(b"\r\n") == crlf.count(b"\n") == usual.count(b"\n")
    assert streamed(client, {"kind": "sse", "line_end": "cr"}).content.count(b"\r") == usual.count(b"\n")


def test_byte_order_mark_comments_fields_and_lines(client: httpx.Client) -> None:
    rule = {"kind": "sse", "bom": True, "comments": True, "fields": True, "multi_line": True}
    content = streamed(client, rule).content
    assert content.startswith(b"\xef\xbb\xbf: this is a comment\nevent: message\nid: 0\ndata: {\ndata: ")
    assert content.count(b"\xef\xbb\xbf") == 1
    *blocks, done, rest = content.removeprefix(b"\xef\xbb\xbf").split(b"\n\n")
    assert rest == b""
    for number, block in enumerate([*blocks, done]):
        lines = block.split(b"\n")
        assert lines[:3] == [b": this is a comment", b"event: message", b"id: %d" % number]
        assert lines[-1] == b"retry: 3000"
        data = b"\n".join(line[6:] for line in lines if line.startswith(b"data: "))
        assert data == b"[DONE]" or (json.loads(data)["object"] and data.count(b"\n") == 2)


def test_no_space_after_the_colon(client: httpx.Client) -> None:
    lines = streamed(client, {"kind": "sse", "space": False}).content.split(b"\n\n")[:-1]
    assert all(line.startswith((b"data:{", b"data:[DONE]")) for line in lines)


def test_comments_keep_the_connection_alive_meanwhile(client: httpx.Client) -> None:
    response = streamed(
        client, {"kind": "keep_alive", "every_s": 0.02}, {"kind": "stall", "stall_s": 0.2, "before_chunk": 1}
    )
    before, _, after = response.text.partition("data: ")
    assert before.count(": keep-alive\n\n") >= 3
    assert after.endswith("data: [DONE]\n\n")


def test_events_without_tokens(client: httpx.Client) -> None:
    response = streamed(client, {"kind": "empty_chunks", "chunks": 3})
    assert deltas(response)[:4] == [
        {"role": "assistant", "content": ""}, {"role": "assistant"}, {"content": ""}, {"content": None},
    ]  # fmt: skip
    assert [bool(delta["content"]) for delta in deltas(response)[4:]] == [True, False] * 6
    counts = [event["usage"]["completion_tokens"] for event in events_of(response)[:-1]]
    assert counts == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 6]
    texts = [
        event["choices"][0]["text"]
        for event in events_of(streamed(client, {"kind": "empty_chunks", "chunks": 1}, text=True))[:-2]
    ]
    assert [bool(text) for text in texts] == [False] + [True, False] * 6


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning(client: httpx.Client, name: str) -> None:
    usual = deltas(streamed(client))
    odd = deltas(streamed(client, {"kind": "reasoning", "field": name, "chunks": 2}))
    assert odd == [usual[0], *({name: delta["content"]} for delta in usual[1:3]), *usual[3:]]


def test_tool_calls(client: httpx.Client) -> None:
    usual, odd = deltas(streamed(client)), deltas(streamed(client, {"kind": "tool_calls"}))
    calls = [delta["tool_calls"][0] for delta in odd[1:]]
    assert calls[0]["function"]["name"] == "look_up"
    assert all("content" not in delta for delta in odd[1:])
    assert [call["function"]["arguments"] for call in calls] == [delta["content"] for delta in usual[1:]]


@pytest.mark.parametrize("text", [False, True])
def test_choices_take_turns_and_all_end(client: httpx.Client, text: bool) -> None:
    events = events_of(streamed(client, {"kind": "choices", "count": 3}, text=text))
    choices = [choice for event in events[:-1] for choice in event["choices"]][0 if text else 1 :]
    assert [choice["index"] for choice in choices] == [0, 1, 2, 0, 1, 2, 0, 1]
    assert {choice["index"] for choice in choices if choice["finish_reason"] == "length"} == {0, 1, 2}
    assert max(len(event["choices"]) for event in events[:-1]) == 2
    assert events[-2]["usage"]["completion_tokens"] == 6


def test_usage_in_events_of_its_own(client: httpx.Client) -> None:
    events = events_of(streamed(client, {"kind": "usage_apart"}, text=True))[:-1]
    assert [bool(event["choices"]) for event in events] == [True, False] * 6 + [False]
    assert ["usage" in event for event in events] == [False, True] * 6 + [True]
    assert [event["usage"]["completion_tokens"] for event in events if "usage" in event] == [
        1,
        2,
        3,
        4,
        5,
        6,
        6,
    ]


def test_a_huge_event(client: httpx.Client) -> None:
    events = streamed(client, {"kind": "huge_event", "padding_bytes": 1_000_000, "chunk": 2}).text.split(
        "\n\n"
    )
    assert [len(event) > 1_000_000 for event in events].index(True) == 2
    assert sum(len(event) > 10_000 for event in events) == 1


@pytest.mark.parametrize(
    ("where", "counts"),
    [("everywhere", []), ("last", [0, 1, 2, 3, 4, 5, 6]), ("chunks", [6])],
)
def test_missing_usage(client: httpx.Client, where: str, counts: list[int]) -> None:
    events = events_of(streamed(client, {"kind": "no_usage", "where": where}))[:-1]
    assert [event["usage"]["completion_tokens"] for event in events if event.get("usage")] == counts
    assert [event.get("usage", "absent") for event in events].count(None) == (6 if where == "chunks" else 0)


def test_usage_may_understate(client: httpx.Client) -> None:
    events = events_of(streamed(client, {"kind": "wrong_usage", "extra_tokens": -2}))
    assert events[-2]["usage"]["completion_tokens"] == 4


def test_a_whole_answer_although_a_stream_was_asked_for(client: httpx.Client) -> None:
    response = streamed(client, {"kind": "not_streamed"})
    assert response.headers["content-type"] == "application/json"
    assert response.json()["usage"]["completion_tokens"] == 6


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        ({"done": 0}, "absent"),
        ({"done": 2}, "data: [DONE]\n\ndata: [DONE]\n\n"),
        ({"after": "event"}, "data: [DONE]\n\ndata: {this is not JSON\n\n"),
    ],
)
def test_endings(client: httpx.Client, rule: dict[str, object], end: str) -> None:
    text = streamed(client, {"kind": "ending"} | rule).text
    assert text.count("[DONE]") == 0 if end == "absent" else text.endswith(end)
    assert '"completion_tokens":6' in text


def test_bytes_that_are_no_event_after_the_end(client: httpx.Client) -> None:
    content = streamed(client, {"kind": "ending", "after": "garbage"}).content
    before, _, after = content.partition(b"data: [DONE]\n\n")
    assert before
    assert after == b"\x00\xff these bytes are no event \xc3\n\n"


def test_an_error_event_without_its_end(client: httpx.Client) -> None:
    """Rules add up."""
    events = events_of(
        streamed(client, {"kind": "error_event", "after_chunks": 2}, {"kind": "ending", "done": 0})
    )
    assert list(events[-1]) == ["error"]


def test_only_the_requests_drawn_are_odd(client: httpx.Client) -> None:
    config = FakeServerConfig(
        timing=Timing(ttft_s=0, tpot_s=0),
        faults=parse_fault_script([{"kind": "sse", "bom": True, "every": 2}]),
    )
    with RunningFakeServer(config) as server:
        marked = [
            client.post(f"{server.url}/v1/completions", json=TEXT).content.startswith(b"\xef\xbb\xbf")
            for _ in range(4)
        ]
    assert marked == list(itertools.islice(itertools.cycle([False, True]), 4))

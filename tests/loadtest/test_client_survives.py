"""Every situation that the fake server can bring about ends as one record, and the next request works."""

import time
from contextlib import closing
from dataclasses import replace

import pytest

from accounting.records import Outcome, Phase, RequestRecord
from loadtest.load_spec_examples import load_spec
from loadtest.request_body import request_body
from loadtest.streaming_client import Send, StreamingClient
from loadtest.workloads import Message, Prompt, Split
from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing
from serving.fake_server.faults import FaultScript
from serving.fake_server.situations import SITUATIONS, Situation, script_of

PROMPT = Prompt("chat-1", "chat", "t", Split.MEASURED, (Message("user", "Tell me about canals, please."),))
TOKENS = 12
QUICK = Timing(ttft_s=0.01, tpot_s=0.001)
#: Where nothing comes the client waits so long; where an answer comes, a collection of garbage in this process, which the
#: server shares, must not look like that.
PATIENCE_S, PATIENCE_WITH_AN_ANSWER_S = 1.5, 5.0


def ask(client: StreamingClient) -> RequestRecord:
    body = request_body(load_spec(), PROMPT, max_tokens=TOKENS, exactly=True)
    kept: list[RequestRecord] = []
    client.run(
        Send("1", Phase.MEASURED, 0, "chat", "chat-1", "t", 0, time.monotonic(), body, keep_text=True),
        kept.append,
    )
    (record,) = kept
    return record


def text_of(config: FakeServerConfig) -> str:
    with RunningFakeServer(config) as server, closing(StreamingClient(server.url)) as client:
        assert ask(client).ok
        return client.text


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.name)
def test_it_ends_as_one_record_that_says_what_happened_and_the_next_one_works(situation: Situation) -> None:
    for_ever = situation.name.endswith("for ever")
    rules = tuple(
        rule
        if for_ever
        else type(rule)(**{f: getattr(rule, f) for f in rule.__struct_fields__} | {"on_request": 1})
        for rule in script_of(situation).rules
    )
    config = FakeServerConfig(timing=QUICK, faults=FaultScript(rules))
    patience_s = PATIENCE_WITH_AN_ANSWER_S if situation.leaves == "answer" else PATIENCE_S
    with (
        RunningFakeServer(config) as server,
        closing(StreamingClient(server.url, timeout_s=patience_s)) as client,
    ):
        begun_s = time.monotonic()
        record = ask(client)
        took_s = time.monotonic() - begun_s
        text = client.text
        time.sleep(0.05)  # a connection that is being closed is seen before it is used again
        following = ask(client)
    assert for_ever or following.ok, following.error
    assert for_ever or following.completion_tokens == TOKENS
    assert took_s < patience_s + 5.0
    match situation.leaves:
        case "answer":
            assert record.ok, record.error
            assert record.completion_tokens == TOKENS
            assert record.first_text_s is not None
            if not any(kind in situation.name for kind in ("reasoning", "tool", "choices", "megabyte")):
                assert text == text_of(replace(config, faults=FaultScript()))
        case "counts_missing":
            assert not record.ok or record.completion_tokens != TOKENS
        case "failure":
            assert not record.ok
            assert record.error
            assert record.outcome is not Outcome.TIMEOUT
        case "silence":
            assert record.outcome is Outcome.TIMEOUT

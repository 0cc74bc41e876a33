"""The catalogue of what a client must survive, tried on a lenient client, and the manual of fault scripts."""

import json

import httpx
import pytest

from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing
from serving.fake_server.command import config_from_command_line
from serving.fake_server.fault_manual import fault_manual
from serving.fake_server.faults import KINDS
from serving.fake_server.situations import SITUATIONS, Situation, script_of, script_of_all

BODY = {
    "messages": [{"role": "user", "content": "a b c"}], "max_tokens": 12, "ignore_eos": True, "stream": True,
    "stream_options": {"include_usage": True, "continuous_usage_stats": True},
}  # fmt: skip
# Beside the answers, or the end of the whole server.
NOT_OF_CLIENTS = {"die", "metrics_missing", "slow_metrics", "not_ready", "wrong_token", "reset_lies"}


def came_away_with(server: RunningFakeServer) -> str:
    """Read as httpx does, take what looks like an answer; the catalogue's words for what that was."""
    counts, done = [], False
    try:
        with (
            httpx.Client(trust_env=False, timeout=0.4, follow_redirects=True, max_redirects=3) as client,
            client.stream("POST", f"{server.url}/v1/chat/completions", json=BODY) as response,
        ):
            if response.status_code != 200 or "event-stream" not in response.headers["content-type"]:
                return "failure"
            text = b"".join(response.iter_bytes()).decode("utf-8-sig", "replace")
        for block in text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
            lines = [line[5:].strip() for line in block.split("\n") if line.startswith("data:")]
            if done or not lines:
                continue
            done = lines == ["[DONE]"]
            event = {} if done else json.loads("\n".join(lines))
            if "error" in event:
                return "failure"
            if event.get("usage"):
                counts.append(event["usage"]["completion_tokens"])
    except httpx.TimeoutException:
        return "silence"
    except (httpx.HTTPError, httpx.TooManyRedirects, json.JSONDecodeError):
        return "failure"
    if not done:
        return "failure"
    return "answer" if counts and counts[-1] == 12 else "counts_missing"


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_each_situation_leaves_what_it_says(situation: Situation) -> None:
    config = FakeServerConfig(timing=Timing(ttft_s=0, tpot_s=0), faults=script_of(situation))
    with RunningFakeServer(config) as server:
        assert came_away_with(server) == situation.leaves


def test_every_kind_of_fault_is_in_a_situation() -> None:
    used = {rule["kind"] for situation in SITUATIONS for rule in situation.rules}
    assert used == set(KINDS) - NOT_OF_CLIENTS
    assert len({situation.name for situation in SITUATIONS}) == len(SITUATIONS)


def test_a_share_of_everything_leaves_out_what_is_named() -> None:
    everything, without = script_of_all(0.01), script_of_all(0.01, leave_out=("no answer",))
    assert all(rule.share == 0.01 for rule in everything.rules)
    assert len(everything.rules) == len(without.rules) + 1 == sum(len(s.rules) for s in SITUATIONS)


def test_the_manual_names_every_kind_and_field(capsys: pytest.CaptureFixture[str]) -> None:
    manual = fault_manual()
    for name, kind in KINDS.items():
        _, _, entry = manual.partition(f"\n{name}")
        entry = entry.split("\n\n\n")[0]
        for own in set(kind.__struct_fields__) - {"on_request", "every", "share", "path"}:
            assert own in entry, f"{name}.{own}"
    with pytest.raises(SystemExit) as caught:
        config_from_command_line(["--list-faults"], {})
    assert caught.value.code == 0
    assert capsys.readouterr().out == manual + "\n"

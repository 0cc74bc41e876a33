"""The most hits that prompts explain: never exceeded by any order, exact where it can be, and silent where it is unknown."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.record_examples import failed, record
from accounting.records import RequestRecord
from loadtest.load_spec_examples import load_spec
from loadtest.record_spool import RecordSpool
from loadtest.request_store import convert_to_parquet
from loadtest.workloads import Prompt, Split
from loadtest.workloads.prefix_hits import implied_hit_share
from serving.endpoints import ServerEndpoints
from serving.fake_server import FakeServerConfig, RunningFakeServer, parse_fault_script
from workbench.explained_hits import ExplainedHits, explained_hits, most_hit_tokens
from workbench.kv_blocks import KvBlocks

# Marks of the fake server's chat template: one before each message, one before the answer.
MARKS = 2
SHARED = " ".join(f"word{n}" for n in range(40))
TEXTS = [f"{SHARED} one", f"{SHARED} two more", "something else entirely"]
IDS = [f"prompts-line-{number:05d}" for number in (1, 2, 3)]


def tokens(*ids: int) -> Prompt:
    return Prompt("p", "w", "t", Split.MEASURED, (), token_ids=ids)


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=7), min_size=1, max_size=5))
def test_no_order_hits_more_and_one_hits_as_much(prompts: list[list[int]]) -> None:
    made = [tokens(*ids) for ids in prompts]
    orders = [implied_hit_share(order, block_tokens=2).hit_tokens for order in itertools.permutations(made)]
    assert most_hit_tokens(made, 2) == max(orders)


@pytest.fixture
def server() -> Iterator[RunningFakeServer]:
    with RunningFakeServer() as running:
        yield running


def asked(
    directory: Path,
    url: str,
    records: Sequence[RequestRecord],
    *,
    kv: KvBlocks = KvBlocks(16, 100),  # noqa: B008 - frozen
    **lines: object,
) -> ExplainedHits:
    """What these requests explain; the workload is a file of the three texts."""
    workload = directory / "prompts.jsonl"
    rows = [{"prompt": text, **lines} for text in TEXTS]
    workload.write_text("\n".join(map(json.dumps, rows)))
    spool = RecordSpool(directory / "lines.jsonl")
    for one in records:
        spool.append(one)
    spool.close()
    convert_to_parquet(directory / "lines.jsonl", directory / "requests.parquet")
    spec = load_spec(base_url=url, workload=str(workload))
    with ServerEndpoints(url) as endpoints:
        return explained_hits(spec, directory / "requests.parquet", kv, endpoints)


def sent(number: int, turn: int = 0, **changes: object) -> RequestRecord:
    length = len(TEXTS[number].split()) + MARKS
    made = record([(0.1, 5)], prompt_id=IDS[number], prompt_tokens=length, turn=turn)
    return replace(made, intended_send_s=100.0 + turn, sent_s=100.0 + turn, **changes)  # type: ignore[arg-type]


def test_the_server_s_own_tokens_count_template_included(tmp_path: Path, server: RunningFakeServer) -> None:
    """41 common tokens (a mark and 40 words) are two whole blocks; the first prompt must compute them."""
    found = asked(tmp_path, server.url, [sent(0), sent(1), sent(2)])
    assert found == ExplainedHits(32, 43 + 44 + 5, 16)


@pytest.mark.parametrize(
    "kv", [KvBlocks(reason="it does not say"), KvBlocks(16, 100, hits_whole_blocks=False)]
)
def test_where_blocks_are_unknown_or_parts_may_hit_every_common_token_counts(
    tmp_path: Path, server: RunningFakeServer, kv: KvBlocks
) -> None:
    """A third prompt has the mark before its words in common."""
    assert asked(tmp_path, server.url, [sent(0), sent(1), sent(2)], kv=kv).tokens == 41 + 1


def test_a_failed_request_may_have_hit_and_is_in_no_sum_of_answered_tokens(
    tmp_path: Path, server: RunningFakeServer
) -> None:
    gone = failed(prompt_id=IDS[1])
    assert asked(tmp_path, server.url, [sent(0), gone]) == ExplainedHits(32, 43, 16)
    unsent = replace(gone, sent_s=None)
    assert asked(tmp_path, server.url, [sent(0), unsent]) == ExplainedHits(0, 43, 16)


def test_a_later_turn_may_find_what_the_turn_before_it_computed(
    tmp_path: Path, server: RunningFakeServer
) -> None:
    """43 tokens asked and 5 answered are 48: three blocks, all below the 60 of the second turn."""
    first, second = sent(0, session=IDS[0]), sent(0, 1, session=IDS[0], prompt_tokens=60)
    assert asked(tmp_path, server.url, [first, second], turns=["and then?"]).tokens == 48
    silent = replace(first, prompt_tokens=None)
    unknown = asked(tmp_path, server.url, [silent, second], turns=["and then?"])
    assert (unknown.tokens, unknown.reason) == (None, "the length of a conversation is not known")


def test_tokens_that_usage_contradicts_explain_nothing(tmp_path: Path, server: RunningFakeServer) -> None:
    found = asked(tmp_path, server.url, [sent(0), replace(sent(1), prompt_tokens=45)])
    assert found.tokens is None
    assert "44 tokens of prompt prompts-line-00002, its usage states 45" in found.reason


def test_a_server_that_does_not_tokenise_is_not_judged(tmp_path: Path) -> None:
    faults = parse_fault_script([{"kind": "status", "status": 404, "path": "/tokenize"}])
    with RunningFakeServer(FakeServerConfig(faults=faults)) as mute:
        found = asked(tmp_path, mute.url, [sent(0), sent(1)])
    assert (found.tokens, found.reason) == (None, "the server does not say which tokens a prompt has")

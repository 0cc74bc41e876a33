"""`kilotoken load` against real vLLM without speculation: every way of sending, and prefix hits to the token."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from accounting.records import Phase, RequestRecord
from loadtest.request_store import read_records
from loadtest.workloads.prompt import Sampling
from workbench import natural_lengths
from workbench.load_command import Crew, run_load
from workbench.load_request import LoadRequest
from workbench.run_directory import CellDirectory
from workbench.server_under_test import ServerUnderTest

Load = Callable[..., tuple[dict[str, Any], list[RequestRecord]]]


@pytest.fixture(scope="module")
def server(start_server: Any) -> Iterator[ServerUnderTest]:
    """Blocks of 32 tokens: prompts of a hundred have something to share."""
    model = {"name": "smollm2-135m-instruct", "max_model_len": 2048}
    with start_server({"model": model, "kv_cache": {"block_size": 32}}) as started:
        yield started


@pytest.fixture
def load(server: ServerUnderTest, tmp_path: Path) -> Load:
    """`load(streams=2, requests=8)` as the command does it: the printed document and the measured records."""
    count = iter(range(100))

    def measure(**options: Any) -> tuple[dict[str, Any], list[RequestRecord]]:
        directory = tmp_path / f"load-{next(count)}"
        document = run_load(
            LoadRequest(**options),
            url=server.base_url,
            model=None,
            api_key_env=None,
            out_dir=directory,
            crew=Crew(),
            console=Console(stderr=True),
        )
        assert document["reconciliation"]["reconciled"], document["reconciliation"]
        assert document["failed"] == 0
        kept = json.loads((directory / "summary.json").read_text())
        assert json.loads(json.dumps(document, allow_nan=False)) == kept
        records = read_records(CellDirectory(directory).requests)
        return document, [r for r in records if r.phase is Phase.MEASURED]

    return measure


def test_closed_loop_with_natural_lengths_gets_exactly_what_it_recorded(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lengths are recorded anew, by the real model, and then asked for."""
    monkeypatch.setattr(natural_lengths, "cache_root", lambda: tmp_path / "cache")
    document, records = load(streams=4, requests=16, output="natural", max_tokens=96, warm_up_s=1.0)
    assert len(records) == document["requests"] == 16
    assert [r.completion_tokens for r in records] == [r.expected_tokens for r in records]
    assert len({r.expected_tokens for r in records}) > 1, "some end by themselves, before the cap"
    assert document["load"]["natural_lengths"]
    assert document["load"]["synthetic"] is None
    assert document["reconciliation"]["token_ids_differ"] == 0


def test_open_loop_sends_every_arrival_of_its_schedule(load: Load) -> None:
    document, records = load(rate="2", duration_s=10.0, ramp_s=1.0, warm_up_s=1.0, max_tokens=16)
    arrivals = document["arrivals"]
    assert arrivals["share_sent"] == 1.0
    assert arrivals["sent"] == len(records) > 5
    assert document["requests_per_s"]["offered"] == 2.0
    assert document["clock"] == "kernel"
    assert document["server"]["tokens_per_step"]["value"] == pytest.approx(1.0, abs=0.02)
    assert document["prefix_hits"] is None, "text has no exact tokens"


def test_a_trace_hits_the_prefix_cache_where_its_hash_ids_say_so(load: Load, tmp_path: Path) -> None:
    """By hand, 32 tokens for each id: 94 + 96 + 96 + 125 + 32 tokens are asked for.

    The second finds two blocks, the third the same two (the block of its last token is computed again though it is
    known), the fourth all three, the fifth none.
    """
    trace = tmp_path / "trace.jsonl"
    lines = [(1500, [0, 1, 2]), (1536, [0, 1, 3]), (1536, [0, 1, 3]), (2000, [0, 1, 3, 4]), (512, [5])]
    trace.write_text(
        "".join(
            json.dumps({"timestamp": 1500 * n, "input_length": i, "output_length": 4, "hash_ids": ids}) + "\n"
            for n, (i, ids) in enumerate(lines)
        )
    )
    document, records = load(trace=f"mooncake:{trace}?block=32&vocab=49152", warm_up_s=0.0)
    hits = document["prefix_hits"]
    assert [r.prompt_tokens for r in records] == [94, 96, 96, 125, 32]
    assert [r.completion_tokens for r in records] == [4] * 5
    assert hits["queried_tokens"] == hits["prompt_tokens"] == 443
    assert hits["hit_tokens"] == hits["implied_hit_tokens"] == hits["implied_at_capacity_hit_tokens"] == 224
    assert hits["achieved"] == hits["implied"] == pytest.approx(224 / 443)
    assert (hits["block_tokens"], hits["warm_up_requests"], hits["reason"]) == (32, 0, None)
    assert hits["capacity_blocks"] > 500, "a GiB of keys and values, in 16 or 32 bits"
    assert document["load"]["endpoint"] == "completions"
    assert "no text that anybody wrote" in document["load"]["synthetic"]


def test_sampled_traffic_is_another_text_and_still_reconciles(load: Load) -> None:
    same: dict[str, Any] = {"streams": 1, "requests": 4, "max_tokens": 24, "warm_up_s": 0.5}
    _, greedy = load(**same)
    document, sampled = load(**same, sampling=Sampling(temperature=0.7, seed=5))
    assert document["load"]["sampling"] == {"temperature": 0.7, "seed": 5}
    assert document["verdict"]["acceptance"] is None, "nothing is drafted"
    texts = [{r.prompt_id: r.text_sha256 for r in of} for of in (greedy, sampled)]
    assert texts[0].keys() == texts[1].keys()
    assert texts[0] != texts[1]

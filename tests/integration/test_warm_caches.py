"""Caches that knew the work before a cell began: planted, and caught by counters, whatever the server says."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing, parse_fault_script

Command = Callable[..., "subprocess.CompletedProcess[str]"]

EXPERIMENT = """
name: warm
server: {{model: fake-model, engine: {{device: fake}}}}
arms: {{only: {{{arm}}}}}
workloads: [{workload}]
loads: {{streams: {streams}}}
output: {{max_tokens: 24}}
window: {{minimum_s: 1.5, warm_up_s: 0.3}}
repeats: 1
price: {{usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}}
"""
QUICK = Timing(ttft_s=0.01, tpot_s=0.002)
DRAFTING = Timing(ttft_s=0.01, tpot_s=0.002, tokens_per_chunk=(2, 4))
LIES = {"kind": "reset_lies"}
SECRET = {"kind": "status", "status": 404, "path": "/server_info"}


def cells_of(
    kilotoken: Command, directory: Path, out: str, *, arm: str, workload: str = "chat", streams: str = "[2]"
) -> list[dict[str, Any]]:
    """The measured cells, in the order in which they ran."""
    (directory / "warm.yaml").write_text(EXPERIMENT.format(arm=arm, workload=workload, streams=streams))
    done = kilotoken("run", "warm.yaml", "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    cells: list[dict[str, Any]] = json.loads((directory / out / "measures.json").read_text())["cells"]
    assert all(cell["caches_reset"] for cell in cells), "the server says so, every time"
    return cells


def contaminated(cell: dict[str, Any]) -> bool:
    """By every statistic alike."""
    words = {word == "cache_contaminated" for word in cell["verdict"].values() if word is not None}
    assert len(words) == 1
    return words.pop()


def url_of(server: RunningFakeServer) -> str:
    return f'url: "{server.url}"'


def test_a_reset_that_lies_is_caught_in_the_second_cell_of_one_life(
    tmp_path: Path, kilotoken: Command
) -> None:
    """No prompt is asked twice: what is warm are the long texts that the prompts of both cells begin with."""
    config = FakeServerConfig(timing=QUICK, faults=parse_fault_script([LIES]))
    with RunningFakeServer(config) as server:
        first, second = cells_of(
            kilotoken, tmp_path, "out", arm=url_of(server), workload="shared", streams="[1, 2]"
        )
    assert not contaminated(first), first["reason"]
    assert contaminated(second)
    assert "the prefix cache was warm" in second["reason"]
    hits = second["findings"]["prefix_hits"]
    assert hits["hit_tokens"] > hits["most_tokens"] > 0


def test_an_honest_server_s_hits_are_all_explained(tmp_path: Path, kilotoken: Command) -> None:
    """Most of each prompt is hit, by design of the workload, and again when the same prompts are asked again."""
    with RunningFakeServer(FakeServerConfig(timing=QUICK)) as server:
        for out in ("first", "again"):
            for cell in cells_of(
                kilotoken, tmp_path, out, arm=url_of(server), workload="shared", streams="[1, 2]"
            ):
                assert not contaminated(cell), cell["reason"]
                hits = cell["findings"]["prefix_hits"]
                assert 0 < hits["hit_tokens"] <= hits["most_tokens"]
                assert cell["prefix_cache_hit_share"] > 0.5


def test_the_same_short_prompts_in_a_warm_cache_are_caught(tmp_path: Path, kilotoken: Command) -> None:
    config = FakeServerConfig(timing=QUICK, block_size=4, faults=parse_fault_script([LIES]))
    with RunningFakeServer(config) as server:
        (first,) = cells_of(kilotoken, tmp_path, "first", arm=url_of(server))
        (again,) = cells_of(kilotoken, tmp_path, "again", arm=url_of(server))
    assert not contaminated(first), first["reason"]
    assert contaminated(again)


@pytest.mark.parametrize("hidden", [[], [SECRET]], ids=["says its method", "does not say"])
def test_a_suffix_cache_that_knows_the_answers_is_caught(
    tmp_path: Path, kilotoken: Command, hidden: list[dict[str, Any]]
) -> None:
    config = FakeServerConfig(timing=DRAFTING, speculative_method="suffix", faults=parse_fault_script(hidden))
    with RunningFakeServer(config) as server:
        (first,) = cells_of(kilotoken, tmp_path, "first", arm=url_of(server))
        (again,) = cells_of(kilotoken, tmp_path, "again", arm=url_of(server))
    assert not contaminated(first), first["reason"]
    assert contaminated(again)
    assert "the drafter remembers answers" in again["reason"]
    assert "restart the server" in again["reason"]
    lengths = [cell["acceptance_length"]["value"] for cell in (first, again)]
    assert lengths[1] > 1.5 * lengths[0], "the planted cache did flatter it"


def test_a_drafter_without_memory_may_have_answered_before(tmp_path: Path, kilotoken: Command) -> None:
    """Also where the server does not say how it drafts: it is asked the same twice."""
    config = FakeServerConfig(timing=DRAFTING, faults=parse_fault_script([SECRET]))
    with RunningFakeServer(config) as server:
        cells_of(kilotoken, tmp_path, "first", arm=url_of(server))
        (again,) = cells_of(kilotoken, tmp_path, "again", arm=url_of(server))
    assert not contaminated(again), again["reason"]
    memory = again["findings"]["answer_memory"]
    assert memory["remembers"] is False
    assert memory["unknown_tokens"] > 0


def test_cells_of_a_server_that_we_started_share_a_memory_and_no_prompt(
    tmp_path: Path, kilotoken: Command
) -> None:
    arm = "speculation: {method: suffix, num_speculative_tokens: 3}"
    first, second = cells_of(kilotoken, tmp_path, "out", arm=arm, streams="[1, 2]")
    assert [contaminated(first), contaminated(second)] == [False, False], second["reason"]
    memory = second["findings"]["answer_memory"]
    assert memory["remembers"] is True
    assert memory["generated_tokens"] > 0
    assert (memory["unknown_tokens"], memory["asked_before"]) == (0, 0)


def test_kilotoken_load_judges_the_same_way(tmp_path: Path, kilotoken: Command) -> None:
    config = FakeServerConfig(timing=DRAFTING, speculative_method="suffix")
    verdicts = []
    with RunningFakeServer(config) as server:
        for out in ("first", "again"):
            done = kilotoken(
                "load", "--url", server.url, "--workload", "chat", "--streams", "2", "--duration", "1.5",
                "--warm-up", "0.3", "--out", out, "--json",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            verdicts.append(json.loads(done.stdout)["verdict"]["acceptance"])
    assert verdicts[0] != "cache_contaminated"
    assert verdicts[1] == "cache_contaminated"

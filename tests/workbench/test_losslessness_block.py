"""Which block asks, and what a run makes of servers that fail when they are asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from accounting.errors import ConfigError, ServerError
from serving.config import ServerConfig
from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing, parse_fault_script
from workbench.experiment import AttachSection, parse_experiment
from workbench.losslessness_answers import AGAIN, FIRST, RecordedPass, pass_file, read_pass
from workbench.losslessness_block import Asker, block_that_asks
from workbench.losslessness_float32 import as_float32, float32_life
from workbench.losslessness_prompts import losslessness_prompts
from workbench.plan import BlockPlan, make_plan
from workbench.run_directory import FINISHED, BlockDirectory, RunDirectory
from workbench.server_under_test import ServerUnderTest, attached_server

TEXT = """
name: asked
server: {model: fake-model, engine: {device: fake}}
arms:
  plain: {}
  ngram: {speculation: {method: ngram, num_speculative_tokens: 3}}
  running: {url: "http://127.0.0.1:9"}
workloads: [chat, copy]
loads: {streams: [1]}
repeats: 3
losslessness: {float32: true}
price: {usd_per_hour: 1, source: declared for a test, as_of: 2026-11-22}
"""
QUICK = Timing(ttft_s=0, tpot_s=0)


class Asked:
    """A run, and its asker with what it reported."""

    def __init__(self, directory: Path, text: str = TEXT) -> None:
        self.experiment = parse_experiment(text, origin="test")
        self.plan = make_plan(self.experiment)
        self.run = RunDirectory.create(directory / "run", text, self.plan, {})
        self.configs = self.experiment.arm_configs(origin="test")
        self.reported: list[tuple[str, str, int, int]] = []
        self.asker = Asker(
            self.run,
            self.experiment,
            self.experiment.workloads,
            lambda block, name, done, total: self.reported.append((block.block_id, name, done, total)),
        )

    def attempt(self, block: BlockPlan) -> BlockDirectory:
        directory = self.run.next_attempt(block)
        directory.write_status(FINISHED, arm=block.arm, repeat=block.repeat)
        return directory

    def at_end_of(self, block_id: str, server: FakeServerConfig) -> list[RecordedPass]:
        """What a block's attempt holds after it was asked."""
        block = next(b for b in self.plan.blocks if b.block_id == block_id)
        directory = self.attempt(block)
        with (
            RunningFakeServer(server) as running,
            attached_server(AttachSection(url=running.url)) as under_test,
        ):
            self.asker.at_end_of_block(block, under_test, directory)
        return passes_in(directory)


def passes_in(directory: BlockDirectory) -> list[RecordedPass]:
    found = (read_pass(pass_file(directory.path, name)) for name in (FIRST, AGAIN))
    return [recorded for recorded in found if recorded is not None]


def test_our_servers_are_asked_in_their_first_block_running_ones_in_their_last(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    chosen = {arm: block_that_asks(asked.plan.blocks, arm, config) for arm, config in asked.configs.items()}
    assert {arm: block and block.block_id for arm, block in chosen.items()} == {
        "plain": "r1-plain",
        "ngram": "r1-ngram",
        "running": "r3-running",
    }


def test_the_baseline_is_asked_twice_in_other_batches_and_an_arm_once(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    first, again = asked.at_end_of("r1-plain", FakeServerConfig(timing=QUICK))
    assert (first.facts["pass"], first.facts["concurrency"], first.facts["reverse"]) == (FIRST, 8, False)
    assert (again.facts["pass"], again.facts["concurrency"], again.facts["reverse"]) == (AGAIN, 1, True)
    assert first.prompts == again.prompts
    assert {prompt.partition("-")[0] for prompt, _ in first.prompts} == {"chat", "copy"}
    assert {len(text.token_ids) for text in (*first.texts, *again.texts)} == {32}
    assert asked.reported[-1] == ("r1-plain", AGAIN, 100, 100)
    (candidate,) = asked.at_end_of("r1-ngram", FakeServerConfig(timing=QUICK))
    assert candidate.prompts == first.prompts


def test_where_a_server_takes_few_at_once_the_second_pass_is_one_at_a_time(tmp_path: Path) -> None:
    few = Timing(ttft_s=0, tpot_s=0, max_concurrency=8)
    _, again = Asked(tmp_path).at_end_of("r1-plain", FakeServerConfig(timing=few))
    assert again.facts["concurrency"] == 1


def test_later_blocks_and_a_running_server_that_does_not_speculate_are_not_asked(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    assert asked.at_end_of("r2-plain", FakeServerConfig(timing=QUICK)) == []
    assert asked.at_end_of("r1-running", FakeServerConfig(timing=QUICK)) == []
    assert asked.at_end_of("r3-running", FakeServerConfig(timing=QUICK)) == []
    speculating = FakeServerConfig(timing=Timing(ttft_s=0, tpot_s=0, tokens_per_chunk=(1, 3)))
    (seen,) = asked.at_end_of("r3-running", speculating)
    assert seen.facts["speculation"] == "ngram, 2 tokens"


def test_a_baseline_is_not_asked_for_a_running_server_that_does_not_speculate(tmp_path: Path) -> None:
    with RunningFakeServer(FakeServerConfig(timing=QUICK)) as other:
        text = TEXT.replace("http://127.0.0.1:9", other.url).replace("  ngram:", "  # ngram:")
        assert Asked(tmp_path, text).at_end_of("r1-plain", FakeServerConfig(timing=QUICK)) == []


def test_a_pass_that_fails_is_recorded_with_its_reason(tmp_path: Path) -> None:
    refusing = FakeServerConfig(faults=parse_fault_script([{"kind": "status", "status": 500}]))
    (recorded,) = Asked(tmp_path).at_end_of("r1-ngram", refusing)
    assert "HTTP 500" in recorded.reason
    assert recorded.texts == ()


def test_an_arm_that_cannot_start_in_float32_says_so_and_the_others_are_not_started(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    started: list[ServerConfig] = []

    @contextmanager
    def start(config: ServerConfig) -> Iterator[ServerUnderTest]:
        started.append(config)
        raise ServerError("the server ran out of memory")
        yield

    reasons: list[str] = []
    for block in asked.plan.lossless:
        directory = asked.attempt(block)
        config: Any = asked.configs[block.arm]
        assert float32_life(asked.asker, block, config, directory, start) is None
        reasons += [recorded.reason for recorded in passes_in(directory)]
    assert [config.model.dtype for config in started] == ["float32"], "the second arm was not tried"
    cause = "the server did not start in float32: the server ran out of memory"
    assert reasons == [cause, cause, f"the baseline was not asked: {cause}"]


def test_float32_changes_nothing_else() -> None:
    config = ServerConfig.model_validate({"model": {"name": "m", "max_model_len": 64, "dtype": "bfloat16"}})
    assert as_float32(config).model_dump() == config.model_dump() | {
        "model": config.model.model_dump() | {"dtype": "float32"}
    }


def test_prompts_come_in_turn_and_warm_up_ones_help_out(tmp_path: Path) -> None:
    experiment = parse_experiment(TEXT, origin="test")
    assert [p.workload for p in losslessness_prompts(experiment, ("chat", "copy"))[:4]] == [
        "chat", "copy", "chat", "copy",
    ]  # fmt: skip
    few = tmp_path / "few.jsonl"
    lines = [f'{{"prompt": "number {n}", "split": "measured"}}' for n in range(60)]
    lines += [f'{{"prompt": "warm {n}", "split": "warm_up", "template": "w{n}"}}' for n in range(60)]
    few.write_text("\n".join(lines))
    assert len(losslessness_prompts(experiment, (str(few),))) == 100
    few.write_text("\n".join(lines[:70]))
    with pytest.raises(ConfigError, match="hold 70 prompts, 100 are needed"):
        losslessness_prompts(experiment, (str(few),))

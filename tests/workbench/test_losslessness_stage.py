"""Recorded passes -> judgements and rows: nothing here asks a server."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accounting.errors import RunError
from accounting.greedy_texts import GreedyText
from loadtest.workloads import Message, Prompt, Split
from tests.accounting.greedy_passes import greedy_pass, true_logits
from workbench.experiment import Experiment, parse_experiment
from workbench.headline import headline
from workbench.losslessness_answers import AGAIN, FIRST, pass_file, read_pass, write_missing, write_pass
from workbench.losslessness_asking import GreedyAnswer
from workbench.losslessness_rows import losslessness_rows
from workbench.losslessness_shown import losslessness_lines
from workbench.losslessness_stage import write_losslessness
from workbench.plan import BlockPlan, make_plan
from workbench.run_directory import FINISHED, BlockDirectory, RunDirectory

TEXT = """
name: judged
arms:
  plain: {}
  ngram: {speculation: {method: ngram, num_speculative_tokens: 3}}
workloads: [chat]
loads: {streams: [1]}
repeats: 2
losslessness: {float32: true}
price: {usd_per_hour: 1, source: declared for a test, as_of: 2026-11-22}
"""
NOTHING_SAID = {"dtype": None, "quantization": None, "kv_cache_dtype": None}
PROMPTS = [
    Prompt(f"chat-{n}", "chat", "t", Split.MEASURED, (Message("user", f"Question {n}"),)) for n in range(100)
]


@cache
def simulated(seed: int, noise_nats: float, wrong_share: float) -> list[GreedyText]:
    """The same server's texts for every test; another seed is another pass of it."""
    truth = true_logits(np.random.default_rng(5), 100, 32)
    return greedy_pass(np.random.default_rng(seed), truth, noise_nats=noise_nats, wrong_share=wrong_share)


class Recorded:
    """A run whose servers left greedy texts: no noise in float32, little in bfloat16."""

    def __init__(self, directory: Path, text: str = TEXT) -> None:
        self.experiment: Experiment = parse_experiment(text, origin="test")
        self.plan = make_plan(self.experiment)
        self.run = RunDirectory.create(directory / "run", text, self.plan, {})
        self.passes = 0

    def block(self, block_id: str) -> BlockPlan:
        return next(b for b in (*self.plan.blocks, *self.plan.lossless) if b.block_id == block_id)

    def finish(self, block_id: str) -> BlockDirectory:
        attempt = self.run.next_attempt(self.block(block_id))
        attempt.write_status(FINISHED, arm=self.block(block_id).arm, repeat=1)
        return attempt

    def record(
        self, attempt: BlockDirectory, name: str, *, noise_nats: float, wrong_share: float = 0.0, **facts: Any
    ) -> None:
        self.passes += 1
        texts = simulated(self.passes, noise_nats, wrong_share)
        usual = {"dtype": "bfloat16", "model": "m", "speculation": "off", "numerics": NOTHING_SAID}
        answers = [GreedyAnswer(text, (n, n + 1), f"text {n}") for n, text in enumerate(texts)]
        arm = attempt.path.name.rpartition(".")[0].partition("-")[2]
        write_pass(pass_file(attempt.path, name), {"arm": arm, **usual, **facts}, PROMPTS, answers)

    def judged(self) -> list[dict[str, Any]]:
        write_losslessness(self.run, self.experiment)
        return losslessness_rows(self.run, self.experiment)


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    """Both arms' first blocks and float32 lives, honest."""
    made = Recorded(tmp_path)
    for lives, noise_nats, dtype in (("r1", 0.01, "bfloat16"), ("lossless", 0.0, "float32")):
        plain, ngram = made.finish(f"{lives}-plain"), made.finish(f"{lives}-ngram")
        made.record(plain, FIRST, noise_nats=noise_nats, dtype=dtype)
        made.record(plain, AGAIN, noise_nats=noise_nats, dtype=dtype)
        made.record(ngram, FIRST, noise_nats=noise_nats, dtype=dtype, speculation="ngram, 3 tokens")
    return made


def test_a_pass_is_read_as_it_was_written_and_a_person_can_read_it(tmp_path: Path) -> None:
    path = pass_file(tmp_path, FIRST)
    text = GreedyText((7, 9), (((8, 0.25), (5, 1.5)), ((7, 3.0),)))
    write_pass(path, {"arm": "plain"}, PROMPTS[:1], [GreedyAnswer(text, (1, 2, 3), "ein Wört")])
    found = read_pass(path)
    assert found is not None
    assert (found.texts, found.reason, found.prompts[0][0]) == ((text,), "", "chat-0")
    assert '"text": "ein Wört"' in path.read_text(encoding="utf-8")
    assert read_pass(pass_file(tmp_path, AGAIN)) is None
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(RunError, match=r"first\.jsonl cannot be read"):
        read_pass(path)


def test_each_dtype_has_a_row_with_what_it_rests_on(recorded: Recorded) -> None:
    served, exact = recorded.judged()
    assert (served["arm"], served["dtype"], served["word"]) == ("ngram", "bfloat16", "within numerical noise")
    assert served["agreeing"] + served["excused"] + served["unexcused"] == served["texts"] == 100
    assert served["excused"] > 0
    assert (exact["dtype"], exact["word"], exact["agreeing"]) == ("float32", "lossless", 100)
    assert exact["power"] > 0.99
    document = json.loads((recorded.run.path / "losslessness" / "ngram.json").read_text())
    assert document["judgements"][0]["blocks"] == ["r1-plain.1", "r1-ngram.1"]
    assert document["judgements"][1]["blocks"] == ["lossless-plain.1", "lossless-ngram.1"]
    assert document["judgements"][0]["noise"]["threshold_nats"] > 0


def test_the_stage_says_the_same_again(recorded: Recorded) -> None:
    recorded.judged()
    path = recorded.run.path / "losslessness" / "ngram.json"
    before = path.read_bytes()
    path.unlink()
    recorded.judged()
    assert path.read_bytes() == before


def test_a_server_that_gets_one_token_in_500_wrong_is_lossy(recorded: Recorded) -> None:
    recorded.record(recorded.finish("r1-ngram"), FIRST, noise_nats=0.01, wrong_share=1 / 500)
    attempts = recorded.run.attempts(recorded.block("r1-ngram"))
    attempts[0].write_status("interrupted", arm="ngram", repeat=1)
    served, _ = recorded.judged()
    assert served["word"] == "lossy"
    assert served["unexcused"] > 0
    document = json.loads((recorded.run.path / "losslessness" / "ngram.json").read_text())
    assert document["judgements"][0]["blocks"][1] == "r1-ngram.2"
    first = next(d for d in document["judgements"][0]["candidate"]["divergences"] if not d["excused"])
    assert first["prompt"].startswith("chat-")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"speculation": "mtp, 1 tokens"}, "the baseline plain speculates itself (mtp, 1 tokens)"),
        ({"numerics": NOTHING_SAID | {"dtype": "float16"}}, "numerics: dtype float16 and bfloat16"),
    ],
)
def test_what_the_engines_resolved_can_rule_a_comparison_out(
    recorded: Recorded, change: dict[str, Any], words: str
) -> None:
    plain, ngram = (recorded.run.attempts(recorded.block(f"r1-{arm}"))[0] for arm in ("plain", "ngram"))
    numerics = NOTHING_SAID | {"dtype": "bfloat16"}
    recorded.record(plain, FIRST, noise_nats=0.01, **change)
    recorded.record(ngram, FIRST, noise_nats=0.01, numerics=numerics)
    served, exact = recorded.judged()
    assert (served["word"], served["texts"], served["power"]) == ("not measured", 0, None)
    assert words in served["reason"]
    assert exact["word"] == "lossless", "the other dtype is not touched"


def test_other_tokens_of_the_same_prompts_are_another_model(recorded: Recorded) -> None:
    attempt = recorded.run.attempts(recorded.block("r1-ngram"))[0]
    path = pass_file(attempt.path, FIRST)
    path.write_text(path.read_text().replace('"prompt_sha256": "', '"prompt_sha256": "x'))
    served, _ = recorded.judged()
    assert (served["word"], "different tokens" in served["reason"]) == ("not measured", True)


def test_a_float32_server_that_resolved_something_else_proves_nothing(recorded: Recorded) -> None:
    ngram = recorded.run.attempts(recorded.block("lossless-ngram"))[0]
    recorded.record(ngram, FIRST, noise_nats=0.0, dtype="bfloat16")
    _, exact = recorded.judged()
    assert (exact["word"], exact["dtype"]) == ("not measured", "float32")
    assert "the engine resolved bfloat16" in exact["reason"]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    made = Recorded(tmp_path)
    assert [row["reason"] for row in made.judged()] == [
        "block r1-plain is not finished", "block lossless-plain is not finished",
    ]  # fmt: skip
    made.finish("r1-plain"), made.finish("r1-ngram")
    assert made.judged()[0]["reason"] == "no greedy texts were asked for in blocks/r1-plain.1"
    lack = {"arm": "plain", "dtype": "float32", "pass": FIRST}
    write_missing(pass_file(made.finish("lossless-plain").path, FIRST), lack, "the server ran out of memory")
    made.finish("lossless-ngram")
    assert made.judged()[1] == {
        "arm": "ngram", "dtype": "float32", "word": "not measured", "texts": 0, "agreeing": 0, "excused": 0,
        "unexcused": 0, "power": None, "reason": "plain: the server ran out of memory",
    }  # fmt: skip


def test_an_arm_that_is_not_asked_has_its_row_too(tmp_path: Path) -> None:
    made = Recorded(tmp_path, TEXT.replace("{float32: true}", "off"))
    (row,) = made.judged()
    assert (row["word"], row["reason"]) == ("not asked", "the experiment says `losslessness: off`")


def test_a_run_where_nothing_speculates_says_nothing(tmp_path: Path) -> None:
    made = Recorded(tmp_path, TEXT.replace("method: ngram, num_speculative_tokens: 3", 'method: "off"'))
    assert made.judged() == []
    assert losslessness_lines([]) is None
    assert not (made.run.path / "losslessness").exists()


def test_a_damaged_document_is_named(recorded: Recorded) -> None:
    recorded.judged()
    (recorded.run.path / "losslessness" / "ngram.json").write_text("{")
    with pytest.raises(RunError, match=r"ngram\.json cannot be read"):
        losslessness_rows(recorded.run, recorded.experiment)


PAID = {
    "arm": "ngram",
    "workload": "copy",
    "load": "1 stream",
    "word": "cheaper",
    "latencies": [],
    "pair_ratios": [0.5],
    "interval": None,
    "speedup": 2.0,
}


def row(word: str, dtype: str = "bfloat16", arm: str = "ngram") -> dict[str, Any]:
    return {"arm": arm, "dtype": dtype, "word": word}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("lossy")], "ngram is lossy (bfloat16): its answers are not the baseline's."),
        ([row("lossy"), row("lossless", "float32")], "ngram is lossy (bfloat16)"),
        (
            [row("cannot tell"), row("lossless", "float32")],
            "ngram's answers are the baseline's: cannot tell (bfloat16) and lossless (float32).",
        ),
        (
            [row("not measured")],
            "That ngram's answers are the baseline's is not proved: not measured (bfloat16).",
        ),
    ],
)
def test_a_win_carries_a_word_on_its_answers(rows: list[dict[str, Any]], said: str) -> None:
    found = headline([PAID], "plain", rows)
    assert found.startswith("On this machine, against plain, ngram paid on copy at 1 stream")
    assert said in found


def test_without_a_win_only_a_lossy_arm_is_spoken_of() -> None:
    lost = PAID | {"pair_ratios": [2.0], "speedup": 0.5}
    assert "answers" not in headline([lost], "plain", [row("lossless")])
    assert "ngram is lossy" in headline([lost], "plain", [row("lossy")])
    assert headline([PAID], "plain", [row("lossy", arm="other")]) == headline([PAID], "plain")

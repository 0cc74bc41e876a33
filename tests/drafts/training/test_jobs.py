"""Both trainers from a job file to an exported draft, on a tiny target: what comes out is what was simulated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="comes with the engine")
transformers = pytest.importorskip("transformers", reason="comes with the engine")

from accounting.errors import ConfigError  # noqa: E402
from drafts.distil.train import DistilJob, distil  # noqa: E402
from drafts.distil.trainee import DistilTrainee  # noqa: E402
from drafts.eagle3.train import Eagle3Job, train_head  # noqa: E402
from drafts.training.examples import ExampleFile  # noqa: E402
from drafts.training.job import read_job  # noqa: E402
from drafts.training.loop import look_at  # noqa: E402
from tests.drafts.tiny_llama import tiny_llama, write_answers  # noqa: E402


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    target = tiny_llama(layers=6)
    target.save_pretrained(tmp_path / "target")
    (tmp_path / "target" / "tokenizer.json").write_text("{}")
    return {
        "target": str(tmp_path / "target"),
        "trained": str(write_answers(tmp_path / "train.jsonl", target, count=40)),
        "held_out": str(write_answers(tmp_path / "heldout.jsonl", target, count=8, seed=2)),
        "directory": str(tmp_path / "out"),
        "tokens_per_step": 240, "learning_rate": 3e-3, "epochs": 2.0, "k": 3,
    }  # fmt: skip


def test_a_distilled_draft_is_exported_as_it_was_judged(asked: dict[str, Any], tmp_path: Path) -> None:
    job = DistilJob(**asked, layers=(0, 5), likeliest=16)
    found = distil(job)
    assert found["after"]["acceptance_length"] >= found["before"]["acceptance_length"]
    draft = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "draft")
    assert draft.config.num_hidden_layers == 2
    assert draft.dtype == torch.bfloat16
    assert (tmp_path / "out" / "draft" / "tokenizer.json").is_file()
    held_out = ExampleFile(Path(asked["held_out"]), longest=job.longest)
    served = DistilTrainee(draft.float().eval(), trained=None, how=None)  # type: ignore[arg-type]
    again = look_at(served, held_out, range(len(held_out)), 3, "cpu")
    assert again.acceptance_length == pytest.approx(found["after"]["acceptance_length"], abs=0.1), "bfloat16"
    assert distil(job)["steps"] == found["steps"], "a finished training is not trained again"


def test_a_head_is_exported_in_both_layouts(asked: dict[str, Any], tmp_path: Path) -> None:
    found = train_head(Eagle3Job(**asked, layers=(1, 2, 4), vocabulary_sizes=(32, 64)))
    assert found["after"]["acceptance_length"] >= found["before"]["acceptance_length"]
    assert 0 < found["coverage"] <= 1
    assert found["draft_vocabulary"] in (32, 64)
    for folder in ("draft", "draft-speculators"):
        config = json.loads((tmp_path / "out" / folder / "config.json").read_text())
        assert config["draft_vocab_size"] == found["draft_vocabulary"]


def test_a_leaking_split_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="stand in the training prompts"):
        distil(DistilJob(**asked | {"held_out": asked["trained"]}, layers=(0,)))


def test_a_job_with_an_unknown_key_is_refused(asked: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps({**asked, "epoch": 3}))
    with pytest.raises(ConfigError, match="epoch"):
        read_job(tmp_path / "job.json", DistilJob)

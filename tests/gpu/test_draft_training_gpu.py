"""Both trainers on a CUDA device: what they export computes what they computed. Skipped where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.engine_build import cuda_device_present

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not cuda_device_present(), reason="no NVIDIA device on this machine"),
]


@pytest.mark.parametrize("kind", ["eagle3", "distil"])
def test_a_draft_trained_on_a_gpu_is_what_was_exported(kind: str, tmp_path: Path) -> None:
    from drafts.distil.train import DistilJob, distil
    from drafts.eagle3.train import Eagle3Job, train_head
    from drafts.training.check_files import CheckJob, check_files
    from tests.drafts.tiny_llama import tiny_llama, write_answers

    target = tiny_llama(layers=6)
    answers = {
        name: str(write_answers(tmp_path / f"{name}.jsonl", target, count=count, seed=seed))
        for name, count, seed in (("trained", 40, 1), ("held_out", 8, 2))
    }
    target.bfloat16().save_pretrained(tmp_path / "target")
    asked: dict[str, Any] = {
        "target": str(tmp_path / "target"), "directory": str(tmp_path / "out"), "device": "cuda", "k": 3,
        "tokens_per_step": 240, "learning_rate": 3e-3, "epochs": 2.0, **answers,
    }  # fmt: skip
    if kind == "eagle3":
        found = train_head(Eagle3Job(**asked, layers=(1, 2, 4), vocabulary_sizes=(32,)))
    else:
        found = distil(DistilJob(**asked, layers=(0, 5), likeliest=16))
    assert found["loss_last"] < found["loss_first"]
    job = CheckJob(draft=str(tmp_path / "out" / "draft"), target=asked["target"], device="cuda")
    assert check_files(job)["problems"] == []

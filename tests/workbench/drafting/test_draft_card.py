"""A card says what a draft is, what it learned from, how well it does, and what it is worth."""

from pathlib import Path
from typing import Any

import pytest

from accounting.errors import ModelError
from drafts.manifest import Manifest, TargetIdentity, write_manifest
from workbench.drafting.card import FILE, write_card

METRICS: dict[str, Any] = {
    "steps": 1200, "elapsed_s": 1500.0, "ended": "all steps done", "best_step": 1100, "loss_first": 3.2, "loss_last": 1.1,
    "before": {"acceptance_length": 1.26, "survival": [0.2, 0.05, 0.01]},
    "after": {"acceptance_length": 1.61, "survival": [0.4, 0.15, 0.06]},
}  # fmt: skip
MANIFEST = Manifest(
    name="small", kind="distil", target=TargetIdentity(name="big", sha256="ab" * 32),
    licence="made from models under MIT", command="kilotoken draft make --target big", made_at="2026-11-27T00:00:00+00:00",
    versions={"torch": "2.9"}, settings={"learning_rate": 5e-4}, metrics=METRICS, files={"model.safetensors": "cd" * 32},
    data={
        "workloads": [{"name": "chat"}], "seed": 1, "sampling": "greedy", "max_tokens": 192,
        "parts": {"train": {"traces": 900, "prompt_tokens": 40000, "output_tokens": 100000}},
    },
)  # fmt: skip
ROW = {
    "workload": "chat", "cost_ratio": 0.9, "interval": [0.88, 0.92], "speedup": 1 / 0.9, "word": "cheaper",
    "losslessness": "bfloat16: lossless",
}  # fmt: skip


def card(directory: Path, **document: Any) -> str:
    write_manifest(directory, MANIFEST)
    write_card(directory, document, priced=False)
    return (directory / FILE).read_text()


def test_everything_that_is_known_is_said(tmp_path: Path) -> None:
    live = {
        "answers": 80, "workloads": ["chat"], "drafts": 2000,
        "positions": [{"position": 1, "live": 0.401, "replay": 0.4, "difference": -0.001}],
    }  # fmt: skip
    text = card(
        tmp_path,
        check={"passed": True, "problems": [], "live": live},
        comparison=[ROW],
        took_s={"asking": 1800.0},
    )
    for words in (
        "draft model (`draft_model`) for **big**", "MIT", "| train | 900 |", "1.26", "1.61", "Passed.", "| 1 | 40.1% | 40.0% |",
        "| chat | 0.900 | 0.880 to 0.920 | 1.11x | cheaper | bfloat16: lossless |", "No price was given",
        "kilotoken draft make --target big", "asking 30", "cd" * 32,
    ):  # fmt: skip
        assert words in text, words


def test_a_draft_that_failed_says_so_and_is_not_compared(tmp_path: Path) -> None:
    text = card(
        tmp_path, check={"passed": False, "problems": ["it lacks fc.weight"], "live": {"reason": "wrong"}}
    )
    assert "FAILED: it lacks fc.weight." in text
    assert "Against no speculation" not in text


def test_without_a_manifest_there_is_no_card(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no manifest"):
        write_card(tmp_path, {}, priced=False)

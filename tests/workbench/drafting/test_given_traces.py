"""Answers that were collected before are copied whole, compressed or not; another model's, and half of them, are refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from accounting.errors import ConfigError
from workbench.collect_temperatures import parse_mix
from workbench.drafting.answer_options import answer_options
from workbench.drafting.given_traces import mark_of, read_collection, take_traces, workloads_of
from workbench.drafting.request import MakeRequest

DOCUMENT = {
    "format": "kilotoken-collect/1", "model": "small", "max_tokens": 64, "seed": 1, "sampling": {"temperature": 0.0},
    "workloads": [{"name": "chat", "source": "made up"}, {"name": "copy", "source": "made up"}],
    "parts": {"train": {"traces": 1, "prompt_tokens": 2, "output_tokens": 3}},
}  # fmt: skip


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    directory = tmp_path / "collected"
    directory.mkdir()
    (directory / "collect.json").write_text(json.dumps(DOCUMENT))
    (directory / "train.jsonl").write_text('{"id": "a"}\n')
    (directory / "heldout.jsonl.gz").write_bytes(gzip.compress(b'{"id": "b"}\n'))
    return directory


def test_answers_are_copied_whole(collected: Path, tmp_path: Path) -> None:
    found = take_traces(collected, tmp_path / "made" / "traces", target=("org/small", "small"))
    assert found == {key: DOCUMENT[key] for key in ("parts", "sampling", "workloads", "max_tokens", "seed")}
    assert (tmp_path / "made" / "traces" / "heldout.jsonl").read_text() == '{"id": "b"}\n'
    assert (tmp_path / "made" / "traces" / "train.jsonl").read_text() == '{"id": "a"}\n'
    assert workloads_of(read_collection(collected)) == ("chat", "copy")


def test_compression_does_not_make_them_others(collected: Path) -> None:
    before = mark_of(collected)
    (collected / "train.jsonl.gz").write_bytes(gzip.compress((collected / "train.jsonl").read_bytes()))
    (collected / "train.jsonl").unlink()
    assert mark_of(collected) == before
    (collected / "train.jsonl").write_text('{"id": "c"}\n')
    assert mark_of(collected) != before


def test_what_was_asked_for_follows_the_answers(collected: Path, tmp_path: Path) -> None:
    base: dict[str, Any] = {
        "target": "small", "workloads": ("chat",), "kind": "distil", "budget_s": 3600.0, "out": tmp_path,
    }  # fmt: skip
    assert MakeRequest(**base, traces=collected).of_asking() == {
        "target": "small", "traces": mark_of(collected),
    }  # fmt: skip
    assert "traces" not in MakeRequest(**base).of_asking()


def test_another_models_answers_are_refused(collected: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"small answered in .*, and the draft is for large") as refused:
        take_traces(collected, tmp_path / "traces", target=("large", "large"))
    assert "collect again" in refused.value.hint
    assert not (tmp_path / "traces").exists()


@pytest.mark.parametrize("missing", ["collect.json", "train.jsonl"])
def test_half_a_collection_is_refused(collected: Path, tmp_path: Path, missing: str) -> None:
    (collected / missing).unlink()
    with pytest.raises(ConfigError, match=f"no finished collection: {missing} is missing"):
        take_traces(collected, tmp_path / "traces", target=("small",))


def test_another_document_is_no_collection(collected: Path) -> None:
    (collected / "collect.json").write_text("[]")
    with pytest.raises(ConfigError, match="says too little"):
        read_collection(collected)
    (collected / "collect.json").write_text("{")
    with pytest.raises(ConfigError, match="no finished collection"):
        read_collection(collected)


def test_a_damaged_file_is_named(collected: Path) -> None:
    packed = collected / "heldout.jsonl.gz"
    packed.write_bytes(packed.read_bytes()[:12] + b"damaged")
    with pytest.raises(ConfigError, match=r"heldout\.jsonl\.gz: this is not a complete gzip file"):
        mark_of(collected)


def options(*workloads: str, traces: Path | None = None, **given: Any) -> dict[str, Any]:
    return answer_options(workloads, traces, **({"max_tokens": None, "count": None, "mix": None} | given))


def test_workloads_come_from_the_command_or_the_collection(collected: Path) -> None:
    assert options("story", max_tokens=80, mix="0:1") == {
        "workloads": ("story",), "max_tokens": 80, "temperatures": parse_mix("0:1"),
    }  # fmt: skip
    assert options(traces=collected) == {"workloads": ("chat", "copy"), "traces": collected}
    assert options("story", traces=collected)["workloads"] == ("story",)


def test_nothing_to_learn_from_and_options_without_effect_are_refused(collected: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to learn from"):
        options()
    with pytest.raises(ConfigError, match="--max-tokens, --count: with --traces nothing is asked"):
        options(traces=collected, max_tokens=80, count=3)

"""`kilotoken draft make` on a real target: it answers, a head learns a little, is checked against a live server, and gets its card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accounting.errors import ConfigError, RunError
from drafts.manifest import read_manifest
from serving.models.checkpoint_facts import read_checkpoint_facts
from serving.models.draft_verdict import kept_verdicts
from workbench.drafting import time_budget
from workbench.drafting.make import MadeDraft, compare_made, make_draft
from workbench.drafting.request import MakeRequest
from workbench.models import resolve_model

TARGET = "smollm2-135m-instruct"


def request(out: Path, **more: object) -> MakeRequest:
    asked = {
        "target": TARGET, "workloads": ("copy",), "kind": "eagle3", "budget_s": 900.0, "out": out, "count": 24,
        "max_tokens": 48, "compare": False, "settings": (("vocabulary_sizes", [4096]), ("tokens_per_step", 512), ("epochs", 4.0)), **more,
    }  # fmt: skip
    return MakeRequest(**asked)  # type: ignore[arg-type]


def made(out: Path, **more: object) -> MadeDraft:
    return make_draft(request(out, **more), argv=["kilotoken", "draft", "make"], say=lambda _text: None)


def test_a_head_is_made_checked_and_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its acceptance by position in a live vLLM is that of the replay within three points, trained ever so little."""
    monkeypatch.setattr(time_budget, "LEAST_S", 60.0)
    found = made(tmp_path / "head")
    live = found.document["check"]["live"]
    assert found.document["check"]["problems"] == []
    assert [row["position"] for row in live["positions"]] == [1, 2, 3]
    assert live["drafts"] > 300
    assert max(abs(row["difference"]) for row in live["positions"]) <= 0.03
    assert live["positions"][0]["live"] > 0.05, "a head that agrees with nothing would prove nothing"
    assert live["drafts_replayed"] == pytest.approx(live["drafts"], rel=0.02)
    before, after = (found.document["training"][when]["acceptance_length"] for when in ("before", "after"))
    assert after >= before
    document = compare_made(found, lambda *_: pytest.fail("nothing was to be compared"))
    draft = tmp_path / "head" / "draft"
    assert document["comparison"] == []
    assert f"for **{TARGET}**" in (draft / "CARD.md").read_text()
    manifest = read_manifest(draft)
    assert manifest is not None
    assert manifest.target.name == TARGET
    assert "Apache-2.0" in manifest.licence
    target = read_checkpoint_facts(
        Path(resolve_model(TARGET, base_dir=Path(), report=lambda *_: None).served_from)
    )
    facts = read_checkpoint_facts(draft)
    assert kept_verdicts(draft, facts.mark)[target.mark].problems == ()
    again = made(tmp_path / "head")
    assert again.document == found.document, "nothing is done twice"
    with pytest.raises(RunError, match="begun otherwise"):
        made(tmp_path / "head", max_tokens=64)


def test_what_cannot_be_trained_is_said_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_budget, "LEAST_S", 60.0)
    with pytest.raises(ConfigError, match="layers"):
        made(tmp_path / "head", settings=(("layers", [2, 40]),))
    assert not (tmp_path / "head" / "traces").exists()
    with pytest.raises(ConfigError, match="a draft needs the same"):
        made(tmp_path / "draft", kind="distil", start="stories-15m", settings=())
    made_of = json.loads((tmp_path / "head" / "make.json").read_text())
    assert made_of["results"] == {}

"""A model's drafts replayed: the same counts as drafting them one by one, and as the trainer's own walk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drafts.replay.matched import Known, replay_matched
from drafts.replay.traces import Trace, read_traces
from drafts.training.walk import chain_matches, walk_matches


@given(st.lists(st.booleans(), min_size=6, max_size=50), st.integers(1, 5))
def test_it_counts_what_the_trainer_s_walk_counts(agrees: list[bool], k: int) -> None:
    matches = chain_matches(np.array(agrees), k)
    runs = np.cumprod(matches, axis=0).sum(axis=0).tolist()
    length = len(agrees)
    trace = Trace(id="1", label="x", prompt_token_ids=[1, 2, 3], output_token_ids=list(range(4, length + 1)))
    (counts,) = replay_matched([trace], [Known(runs)], [k])[k]
    walked = walk_matches(matches, 4)
    assert (counts.steps, counts.accepted) == (walked.steps, list(walked.accepted_at))
    assert counts.drafted_tokens == counts.drafts * k


def test_no_room_no_draft() -> None:
    trace = Trace(id="1", label="x", prompt_token_ids=[1, 2], output_token_ids=[3, 4, 5, 6])
    (counts,) = replay_matched([trace], [Known([3] * 6)], [3], max_model_len=5)[3]
    assert counts.drafted_tokens < 3 * counts.steps


def test_a_finished_draft_and_head_are_replayed_as_they_were_judged(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="comes with the engine")
    pytest.importorskip("transformers", reason="comes with the engine")
    from drafts.distil.train import DistilJob, distil
    from drafts.eagle3.train import Eagle3Job, train_head
    from tests.drafts.tiny_llama import tiny_llama, write_answers

    target = tiny_llama(layers=6)
    target.save_pretrained(tmp_path / "target")
    asked = {
        "target": str(tmp_path / "target"), "directory": str(tmp_path / "out"),
        "trained": str(write_answers(tmp_path / "train.jsonl", target, count=30)),
        "held_out": str(write_answers(tmp_path / "heldout.jsonl", target, count=8, seed=2)),
        "tokens_per_step": 240, "learning_rate": 3e-3, "epochs": 1.0, "k": 3,
    }  # fmt: skip
    judged = distil(DistilJob(**asked, layers=(0, 5), likeliest=16))["after"]["acceptance_length"]
    assert replayed_length(tmp_path, "out/draft") == pytest.approx(judged, abs=0.05), "exported in bfloat16"
    head = Eagle3Job(
        **asked | {"directory": str(tmp_path / "head")}, layers=(1, 2, 4), vocabulary_sizes=(64,)
    )
    judged = train_head(head)["after"]["acceptance_length"]
    for layout in ("draft", "draft-speculators"):
        assert replayed_length(tmp_path, f"head/{layout}") == pytest.approx(judged, abs=0.05)


def replayed_length(folder: Path, draft: str) -> float:
    """Acceptance length at k = 3 of a draft below the folder, on its held-out answers."""
    from drafts.training.draft_matches import MatchJob, match

    held_out, out = folder / "heldout.jsonl", folder / "runs.jsonl"
    job = MatchJob(
        traces=str(held_out),
        target=str(folder / "target"),
        draft=str(folder / draft),
        out=str(out),
        k=3,
        dtype="float32",
    )
    match(job)
    known = [Known(**json.loads(line)) for line in out.read_text().splitlines()]
    counts = replay_matched(read_traces(held_out), known, [3])[3]
    return 1 + sum(sum(one.accepted) for one in counts) / sum(one.drafts for one in counts)

"""The expected walk is the mean of walks whose drafts are drawn; with certain drafts it is the walk itself."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drafts.replay.expected import expected_walk
from drafts.training.walk import chain_matches, walk_matches


@given(st.lists(st.booleans(), min_size=6, max_size=40), st.integers(1, 5))
def test_certain_drafts_are_walked_as_they_are(agrees: list[bool], k: int) -> None:
    matches = chain_matches(np.array(agrees), k)
    found = expected_walk(matches.astype(float).tolist(), 3, len(agrees), k)
    walked = walk_matches(matches, 4)
    assert found.steps == pytest.approx(walked.steps)
    assert list(found.accepted) == pytest.approx(list(walked.accepted_at))


def test_it_is_the_mean_of_what_draws_give() -> None:
    rng = random.Random(3)
    length, k, prompt = 30, 3, 4
    weights = [[rng.random() for _ in range(length)] for _ in range(k)]
    found = expected_walk(weights, prompt, length, k)
    steps, accepted, tries = 0, np.zeros(k), 20_000
    for _ in range(tries):
        position = prompt + 1
        while position < length:
            steps += 1
            run = 0
            while run < k and position + run < length and rng.random() < weights[run][position]:
                accepted[run] += 1
                run += 1
            position += run + 1
    assert found.steps == pytest.approx(steps / tries, rel=0.01)
    assert list(found.accepted) == pytest.approx((accepted / tries).tolist(), rel=0.03)
    assert all(behind >= 0 for behind in found.beyond_end)


def test_a_head_and_a_draft_are_weighed_by_their_own_distributions(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="comes with the engine")
    pytest.importorskip("transformers", reason="comes with the engine")
    from drafts.training.draft_matches import MatchJob, _DraftModel
    from tests.drafts.tiny_llama import tiny_llama

    target, draft = tiny_llama(layers=3), tiny_llama(layers=2, seed=5)
    target.save_pretrained(tmp_path / "target")
    draft.save_pretrained(tmp_path / "draft")
    job = MatchJob(
        traces="",
        target=str(tmp_path / "target"),
        draft=str(tmp_path / "draft"),
        out="",
        k=2,
        dtype="float32",
    )
    made = _DraftModel(job, with_target=True)
    prompt = torch.tensor([[5, 9, 3, 7]])
    with torch.inference_mode():
        p = (target(prompt).logits[0, -1] / 0.8).softmax(-1)
        q = (draft(prompt).logits[0, -1] / 0.8).softmax(-1)
    overlap = float(torch.minimum(p, q).sum())
    weighed = 0.0
    for token in range(64):
        text = torch.cat([prompt, torch.tensor([[token]])], dim=1)
        weighed += float(p[token]) * float(made.weights(text, 0.8)[0, 4])
    assert weighed == pytest.approx(overlap, rel=1e-4), "one less the total variation"
    itself: Any = _DraftModel(
        MatchJob(traces="", target=job.target, draft=job.target, out="", k=2, dtype="float32"),
        with_target=True,
    )
    assert itself.weights(prompt, 0.8)[0, 1:].min() > 0.999, "a draft that is the target is always accepted"

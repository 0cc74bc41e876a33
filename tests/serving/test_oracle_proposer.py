"""The oracle drafts what the target will say, wrong as often as it is told, and nothing where it knows nothing."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from serving.oracle import oracle_proposer
from serving.oracle.oracle_proposer import ACCEPTANCE, ANSWERS, KnownAnswers, OracleProposer

PROMPT, ANSWER = (5, 6, 7), tuple(range(100, 130))


def test_drafts_are_what_comes_next() -> None:
    known = KnownAnswers([(PROMPT, ANSWER), ((5, 6), (1, 2))], acceptance=1.0)
    assert known.draft(0, [*PROMPT, 100], 3) == [101, 102, 103]
    assert known.draft(0, [*PROMPT, *ANSWER[:28]], 4) == [128, 129]
    assert known.draft(0, [*PROMPT, *ANSWER], 4) == []


def test_a_slot_that_another_request_has_is_looked_up_anew() -> None:
    known = KnownAnswers([(PROMPT, ANSWER), ((8, 9), (1, 2, 3))], acceptance=1.0)
    assert known.draft(0, [*PROMPT, 100], 1) == [101]
    assert known.draft(0, [8, 9, 1], 2) == [2, 3]
    assert known.draft(0, [4, 4, 4], 2) == []


def test_so_many_drafts_are_right_as_it_is_told_and_the_same_ones_again() -> None:
    pairs = [((n,), tuple(range(50_000))) for n in (1, 2)]
    for share in (0.0, 0.5, 0.8, 1.0):
        known, again = KnownAnswers(pairs, share), KnownAnswers(pairs, share)
        drafted = known.draft(0, [1], 50_000)
        right = sum(a == b for a, b in zip(drafted, pairs[0][1], strict=True))
        assert right / 50_000 == pytest.approx(share, abs=0.01)
        assert drafted == again.draft(0, [1], 50_000)
        assert (drafted == known.draft(0, [2], 50_000)) is (share in (0.0, 1.0))


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=ACCEPTANCE):
        KnownAnswers([(PROMPT, ANSWER)], share)


def test_vllms_arrays_are_read_as_vllm_means_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traces = tmp_path / "train.jsonl"
    line = {"prompt_token_ids": PROMPT, "output_token_ids": ANSWER[:4], "beyond_token_ids": ANSWER[4:6]}
    traces.write_text(json.dumps(line) + "\n\n")
    monkeypatch.setenv(ANSWERS, str(traces))
    monkeypatch.setenv(ACCEPTANCE, "1")
    proposer = OracleProposer(SimpleNamespace(speculative_config=SimpleNamespace(num_speculative_tokens=3)))
    proposer.load_model("anything")
    tokens = np.zeros((3, 64), dtype=np.int32)
    tokens[0, :6] = [*PROMPT, 100, 101, 102]
    tokens[1, :2] = PROMPT[:2]
    tokens[2, :4] = [*PROMPT, 100]
    drafts = proposer.propose([[102], [], [100]], np.array([6, 2, 4]), tokens, slot_mappings=None)
    assert drafts == [[103, 104, 105], [], [101, 102, 103]]


def test_a_file_without_answers_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ValueError, match=ANSWERS):
        KnownAnswers(oracle_proposer.read_answers(tmp_path / "empty.jsonl"), 1.0)

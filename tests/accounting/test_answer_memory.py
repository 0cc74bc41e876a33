from typing import Any

import pytest

from accounting.answer_memory import judge_answer_memory

FRESH: dict[str, Any] = {
    "remembers": True, "why_unknown": "", "generated_tokens": 0.0, "accounted_tokens": 0.0, "asked_before": 0,
}  # fmt: skip


def test_a_fresh_life_and_one_that_only_answered_other_prompts_are_no_finding() -> None:
    assert not judge_answer_memory(**FRESH).reason
    known = judge_answer_memory(**FRESH | {"generated_tokens": 5000.0, "accounted_tokens": 5000.0})
    assert (known.unknown_tokens, known.reason) == (0, "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generated_tokens": 5000.0}, "had generated 5000 tokens that no cell of this run accounts for"),
        ({"generated_tokens": 5000.0, "accounted_tokens": 4999.0}, "had generated 1 tokens"),
        ({"generated_tokens": 9.0, "accounted_tokens": 9.0, "asked_before": 7}, "7 prompts of the window were asked"),
    ],
)  # fmt: skip
def test_answers_that_can_be_known_are_a_finding_with_the_way_out(
    changes: dict[str, Any], words: str
) -> None:
    found = judge_answer_memory(**FRESH | changes)
    assert words in found.reason
    assert "restart the server" in found.reason
    forgetful = judge_answer_memory(**FRESH | changes | {"remembers": False})
    assert (forgetful.reason, forgetful.not_judged) == ("", "")


def test_where_it_is_not_known_whether_the_drafter_remembers_nothing_is_judged() -> None:
    unknown = {"remembers": None, "why_unknown": "it was not asked", "generated_tokens": 5000.0}
    found = judge_answer_memory(**FRESH | unknown)
    assert (found.reason, found.not_judged) == ("", "it was not asked")

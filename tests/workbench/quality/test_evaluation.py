from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accounting.errors import RunError, ServerError
from workbench.quality import asking, evaluation
from workbench.quality.evaluation import evaluate_items
from workbench.quality.items import CodeTest, Judging, QualityItem
from workbench.quality.journal import ItemOutcome, opened
from workbench.quality.likelihood import NotOfferedError
from workbench.quality.result import summarised
from workbench.server_under_test import ServerUnderTest

Items = tuple[QualityItem, ...]
Fake = Callable[..., AbstractContextManager[ServerUnderTest]]
HEADER = {"set": "s", "n": 12}


def asked(server: ServerUnderTest, items: Items, path: Path, concurrency: int = 4) -> dict[str, ItemOutcome]:
    with opened(path / "items.jsonl", HEADER) as journal:
        evaluate_items(server, items, journal, concurrency=concurrency, report=lambda _done, _total: None)
        return journal.outcomes


def test_every_item_is_scored_and_its_reference_weighed(fake: Fake, items: Items, tmp_path: Path) -> None:
    with fake() as server:
        found = summarised(items, asked(server, items, tmp_path))
    assert found["items"] == 12
    assert 0 < found["right"] <= 12
    assert found["score"]["value"] == found["right"] / 12
    assert found["failures"] == 0
    perplexity = found["perplexity"]
    assert perplexity["items"] == 12
    assert perplexity["tokens"] == 12 * 6
    assert perplexity["interval"][0] < perplexity["value"] < perplexity["interval"][1]


def test_the_order_and_number_of_requests_in_flight_change_nothing(
    fake: Fake, items: Items, tmp_path: Path
) -> None:
    with fake() as server:
        one = summarised(items, asked(server, items, tmp_path / "a", 1))
        many = summarised(items, asked(server, tuple(reversed(items)), tmp_path / "b", 8))
    assert one == many


def test_no_more_than_asked_for_are_in_flight(
    fake: Fake, items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, most, real = 0, 0, evaluation.answer_of

    async def counting(*arguments: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            return await real(*arguments)
        finally:
            now -= 1

    monkeypatch.setattr(evaluation, "answer_of", counting)
    with fake() as server:
        asked(server, items, tmp_path, 3)
    assert most == 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "status", "status": 500, "on_request": 3}, "HTTP 500"),
        ({"kind": "reset", "after_chunks": 0, "on_request": 3}, "/v1/chat/completions"),
        ({"kind": "garbage", "where": "http", "on_request": 3}, "/v1/chat/completions"),
    ],
)
def test_a_failed_item_stays_in_the_denominator_and_says_why(
    fake: Fake, items: Items, tmp_path: Path, fault: dict[str, Any], reason: str
) -> None:
    with fake([{"path": "/v1/chat/completions", **fault}]) as server:
        found = summarised(items, asked(server, items, tmp_path))
    assert (found["items"], found["failures"]) == (12, 1)
    assert reason in next(iter(found["failure_reasons"]))
    assert found["score"]["value"] == found["right"] / 12
    assert found["perplexity"]["items"] == 12, "its reference could be weighed all the same"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (
            {"path": "/tokenize", "status": 404},
            "not measured, because the server has no /tokenize (12 items)",
        ),
        ({"path": "/tokenize", "status": 500}, "not measured, because HTTP 500 from /tokenize"),
    ],
)
def test_a_server_without_likelihoods_is_scored_and_says_what_it_lacks(
    fake: Fake, items: Items, tmp_path: Path, fault: dict[str, Any], reason: str
) -> None:
    with fake([{"kind": "status", **fault}]) as server:
        found = summarised(items, asked(server, items, tmp_path))
    assert found["right"] > 0
    assert found["perplexity"]["value"] is None
    assert found["perplexity"]["reason"].startswith(reason)


def test_one_reference_that_could_not_be_weighed_is_left_out_and_said(
    fake: Fake, items: Items, tmp_path: Path
) -> None:
    with fake([{"kind": "status", "status": 500, "path": "/tokenize", "on_request": 5}]) as server:
        found = summarised(items, asked(server, items, tmp_path))
    assert found["perplexity"]["items"] == 11
    assert "left out: HTTP 500" in found["perplexity"]["reason"]


OK = {"choices": [{"message": {"content": "the"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ({"choices": [{"text": "x"}]}, "gives no prompt_logprobs"),
        ({"choices": [{"text": "x", "prompt_logprobs": [None]}]}, "1 prompt_logprobs came back for 4 tokens"),
        ({"choices": [{"prompt_logprobs": [None, None, None, None]}]}, "do not hold token"),
        (
            {"choices": [{"prompt_logprobs": [None, None, {"1": {"logprob": "x"}}, None]}]},
            "do not hold token",
        ),
        ({"choices": [{"prompt_logprobs": [None, None, {"1": {"logprob": -9999.0}}, None]}]}, "-9999"),
    ],
)
def test_odd_likelihoods_are_reasons_and_never_numbers(
    says: Fake, items: Items, tmp_path: Path, completion: object, reason: str
) -> None:
    bodies = {"/v1/chat/completions": OK, "/tokenize": {"tokens": [1, 2]}, "/v1/completions": completion}
    with says(bodies) as server:
        found = summarised(items[:1], asked(server, items[:1], tmp_path))
    assert found["right"] == 1
    assert found["perplexity"]["value"] is None
    assert reason in found["perplexity"]["reason"]


@pytest.mark.parametrize(
    ("answer", "right", "failures"),
    [
        ({"choices": [{"message": {"content": None}}]}, 0, 0),
        ({"choices": [{"message": {"content": ""}, "finish_reason": "length"}]}, 0, 0),
        ({"choices": [{"message": {"content": "the " * 300_000}, "finish_reason": "length"}]}, 1, 0),
        ({"choices": [{"message": {"content": "\ud800 the"}}]}, 1, 0),
        ({"choices": []}, 0, 1),
        ({"choices": [{"message": {"content": 7}}]}, 0, 1),
        ([], 0, 1),
        (b"\xff\xfe", 0, 1),
        (b"[" * 100_000, 0, 1),
    ],
)
def test_answers_that_are_empty_cut_off_huge_or_garbage_are_survived(
    says: Fake, items: Items, tmp_path: Path, answer: object, right: int, failures: int
) -> None:
    with says({"/v1/chat/completions": answer}) as server:
        found = summarised(items[:1], asked(server, items[:1], tmp_path))
        assert asked(server, items[:1], tmp_path).keys() == {items[0].item_id}, (
            "the journal can be read again"
        )
    assert (found["right"], found["failures"]) == (right, failures)
    assert (tmp_path / "items.jsonl").stat().st_size < 10_000


def test_an_answer_that_never_comes_ends_as_a_failure(
    fake: Fake, items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "REQUEST_TIMEOUT_S", 0.5)
    with fake([{"kind": "hang", "on_request": 2, "path": "/v1/chat/completions"}]) as server:
        found = summarised(items, asked(server, items, tmp_path))
    assert found["failures"] == 1
    assert "gave no answer within" in next(iter(found["failure_reasons"]))


def test_a_server_that_is_gone_is_no_items_fault_and_what_is_done_is_kept(
    fake: Fake, items: Items, tmp_path: Path
) -> None:
    with fake() as server:
        asked(server, items[:5], tmp_path)
    with pytest.raises(ServerError, match="after 5 of 12 items"):
        asked(server, items, tmp_path)
    with fake([{"kind": "status", "status": 500, "path": "/v1/chat/completions"}]) as server:
        found = summarised(items, asked(server, items, tmp_path))
    assert found["failures"] == 7, "five were not asked again"


def test_a_server_that_is_gone_is_noticed_without_likelihoods_too(
    fake: Fake, items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(*_arguments: Any) -> Any:
        raise NotOfferedError("none here")

    monkeypatch.setattr(evaluation, "reference_likelihood", none)
    with fake() as server:
        pass
    with pytest.raises(ServerError, match="after 0 of 12 items"):
        asked(server, items, tmp_path)


def test_a_line_that_a_kill_cut_off_is_asked_again(fake: Fake, items: Items, tmp_path: Path) -> None:
    with fake() as server:
        whole = asked(server, items, tmp_path)
        path = tmp_path / "items.jsonl"
        path.write_text(path.read_text()[:-30])
        with opened(path, HEADER) as journal:
            assert len(journal.outcomes) == 11
        assert asked(server, items, tmp_path) == whole


def test_another_question_begins_anew_and_two_at_a_time_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    with opened(path, HEADER) as journal:
        journal.add(ItemOutcome("a", right=True))
        with pytest.raises(RunError, match="another kilotoken process"), opened(path, HEADER):
            pass
    with opened(path, HEADER) as journal:
        assert journal.outcomes["a"].right
    with opened(path, HEADER | {"n": 13}) as journal:
        assert not journal.outcomes


def test_code_is_judged_by_running_it(says: Fake, tmp_path: Path) -> None:
    test = CodeTest("def check(f):\n    assert f(2) == 4\n", "double")
    item = QualityItem(
        "code", "    return 2 * x\n", "", Judging.CODE, 40, prompt="def double(x):\n", code_test=test
    )
    for text, right in (("    return x + x\n", True), ("    return x\n", False), ("", False)):
        with says({"/v1/completions": {"choices": [{"text": text}]}}) as server:
            outcome = asked(server, (replace(item, item_id=text),), tmp_path)[text]
        assert (outcome.right, outcome.failure) == (right, "")
        assert bool(outcome.why_wrong) is not right

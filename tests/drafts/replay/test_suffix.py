import importlib.util
import sys

import pytest

from accounting.errors import MachineError
from drafts.replay.counting import replay_suffix
from drafts.replay.suffix import SuffixSettings
from drafts.replay.traces import Trace

ANSWER = [100 + i for i in range(40)]
TWICE = [
    Trace(id=name, label="x", prompt_token_ids=[1, 2, 3], output_token_ids=ANSWER)
    for name in ("first", "second")
]


def test_an_answer_seen_before_is_drafted_and_a_new_one_is_not() -> None:
    if importlib.util.find_spec("arctic_inference") is None:
        pytest.skip("arctic-inference is not installed (extra `suffix`)")
    first, second = replay_suffix(TWICE, SuffixSettings())
    assert (first.drafts, first.steps) == (0, 39)
    assert second.accepted_tokens > 25
    assert second.steps < 15


def test_without_memory_of_other_answers_the_second_is_as_new() -> None:
    if importlib.util.find_spec("arctic_inference") is None:
        pytest.skip("arctic-inference is not installed (extra `suffix`)")
    first, second = replay_suffix(TWICE, SuffixSettings(max_cached_requests=0))
    assert first == second


def test_without_the_package_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arctic_inference", None)
    monkeypatch.delitem(sys.modules, "arctic_inference.suffix_decoding", raising=False)
    with pytest.raises(MachineError, match="needs the package arctic-inference") as raised:
        replay_suffix(TWICE, SuffixSettings())
    assert "kilotoken[suffix]" in raised.value.hint

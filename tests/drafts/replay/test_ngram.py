"""Against vLLM's search, transcribed plainly, and against vLLM's own where it is installed."""

import ast
import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drafts.replay.counting import replay_ngram
from drafts.replay.ngram import NgramDrafter, NgramWindow, Runner, match_ends
from drafts.replay.traces import Trace


def drafted_as_vllm(context: list[int], shortest: int, longest: int, k: int, max_model_len: int) -> list[int]:
    """What the docstring of vLLM's search says: longest n first, the earliest place of that n, k tokens."""
    k = min(k, max_model_len - len(context))
    if k <= 0:
        return []
    for n in range(min(longest, len(context) - 1), shortest - 1, -1):
        for start in range(len(context) - n):
            if context[start : start + n] == context[-n:]:
                return context[start + n : start + n + k]
    return []


def cases() -> list[tuple[list[int], int, int, int]]:
    dice = random.Random(7)
    drawn = []
    for _ in range(150):
        vocabulary = dice.choice([2, 3, 8, 40])
        context = [dice.randrange(vocabulary) for _ in range(dice.randrange(2, 50))]
        shortest = dice.randrange(1, 5)
        drawn.append((context, shortest, shortest + dice.randrange(4), dice.randrange(1, 9)))
    return drawn


def drafted_as_vllms_v2(context: list[int], shortest: int, longest: int, k: int) -> list[int]:
    """What its two kernels do: longest n first, the latest place of that n, k tokens, filled with the last one."""
    found: list[int] = []
    for n in range(longest, shortest - 1, -1):
        places = [p for p in range(len(context) - n) if context[p : p + n] == context[-n:]]
        if places:
            found = context[places[-1] + n : places[-1] + n + k]
            break
    return found + context[-1:] * (k - len(found))


def test_the_other_runner_takes_the_latest_place_and_always_drafts_k() -> None:
    different = 0
    for tokens, shortest, longest, k in cases():
        window = NgramWindow(shortest, longest, Runner.V2)
        drafter = NgramDrafter(tokens, match_ends(np.asarray(tokens), window), k, runner=Runner.V2)
        for position in range(1, len(tokens) + 1):
            expected = drafted_as_vllms_v2(tokens[:position], shortest, longest, k)
            assert drafter.draft(position) == expected, (tokens[:position], shortest, longest, k)
            different += expected != drafted_as_vllm(tokens[:position], shortest, longest, k, 10**6)
    assert different > 100
    near = NgramDrafter(
        [5] * 9, match_ends(np.asarray([5] * 9), NgramWindow(1, 2, Runner.V2)), 4, 10, Runner.V2
    )
    assert [len(near.draft(position)) for position in (5, 6, 8, 9)] == [4, 3, 1, 0]


@pytest.mark.parametrize("max_model_len", [None, 30])
def test_each_context_drafts_what_vllm_would(max_model_len: int | None) -> None:
    for tokens, shortest, longest, k in cases():
        ends = match_ends(np.asarray(tokens), NgramWindow(shortest, longest))
        drafter = NgramDrafter(tokens, ends, k, max_model_len)
        for position in range(1, len(tokens) + 1):
            # The scheduler keeps one place of the model's length for the target's own token.
            expected = drafted_as_vllm(tokens[:position], shortest, longest, k, max_model_len or 10**6)
            if max_model_len is not None:
                expected = expected[: max(0, max_model_len - position - 1)]
            assert drafter.draft(position) == expected, (tokens[:position], shortest, longest, k)


def vllms_search() -> Callable[..., Any]:
    """vLLM's function, taken from the installed source: importing vLLM and compiling it take a minute."""
    package = importlib.util.find_spec("vllm")
    if package is None or package.origin is None:
        pytest.skip("vllm is not installed")
    file = Path(package.origin).parent / "v1/spec_decode/ngram_proposer.py"
    name = "_find_longest_matched_ngram_and_propose_tokens"
    [function] = [
        node
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    function.decorator_list = []
    space: dict[str, Any] = {"np": np}
    exec(compile(ast.Module([function], []), str(file), "exec"), space)
    search: Callable[..., Any] = space[name]
    return search


def test_vllms_own_search_drafts_the_same() -> None:
    search = vllms_search()
    for tokens, shortest, longest, k in cases():
        ends = match_ends(np.asarray(tokens), NgramWindow(shortest, longest))
        expected = search(np.array(tokens, dtype=np.int32), shortest, longest, 10**6, k).tolist()
        assert NgramDrafter(tokens, ends, k).draft(len(tokens)) == expected


def trace(prompt: list[int], output: list[int]) -> Trace:
    return Trace(id="a", label="x", prompt_token_ids=prompt, output_token_ids=output)


def test_a_copied_answer_is_accepted_whole_and_the_end_is_counted_apart() -> None:
    """Prompt 1..8 copied: 1, then 2 (no 2-gram yet), then 3 tokens a step with k = 2: [3 4]5 [6 7]8."""
    counts = replay_ngram([trace([*range(1, 9)], [*range(1, 9)])], NgramWindow(2, 4), [2, 8])
    two, eight = counts[2][0], counts[8][0]
    # The prompt's last token and the first 1 make no repeated pair, so the first step is undrafted.
    assert (two.steps, two.drafts, two.accepted, two.beyond_end) == (3, 2, [2, 2], [0, 0])
    assert (eight.steps, eight.drafts, eight.accepted) == (2, 1, [1] * 6 + [0, 0])
    # 3..8 and two more (the answer's own beginning), of which the log says nothing.
    assert eight.beyond_end == [0] * 6 + [1, 1]


def test_what_the_target_says_behind_the_end_judges_a_draft_that_reaches_there() -> None:
    """The same copy: 3..8 and [1, 2] drafted at once; the target goes on with 1, and then otherwise."""
    known = Trace(
        id="a",
        label="x",
        prompt_token_ids=[*range(1, 9)],
        output_token_ids=[*range(1, 9)],
        beyond_token_ids=[1, 7, 7],
    )
    [eight] = replay_ngram([known], NgramWindow(2, 4), [8])[8]
    assert (eight.steps, eight.drafts, eight.accepted) == (2, 1, [1] * 7 + [0])
    assert eight.beyond_end == [0] * 8
    assert (eight.output_tokens, eight.made_beyond) == (8, 2)


def test_a_smaller_k_is_not_read_off_a_larger_ones_walk() -> None:
    prompt, output = [1, 2, 3, 9, 4, 1, 2, 3, 8, 4, 1, 2], [3, 9, 4, 1, 2, 3, 8, 4, 1, 2, 3, 9]
    counts = replay_ngram([trace(prompt, output)], NgramWindow(1, 3), [1, 4])
    assert counts[1][0].drafts != counts[4][0].drafts

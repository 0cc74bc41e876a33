"""Against vLLM's own proposer, taken from the installed source and driven as its worker drives it, step by step."""

import ast
import importlib.util
import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from drafts.replay.counting import replay_suffix
from drafts.replay.suffix import SuffixDrafter, SuffixSettings
from drafts.replay.traces import Trace

Step = tuple[str, int, list[int]]  # request, tokens known, what was drafted for the next step

SETTINGS = [
    SuffixSettings(),
    SuffixSettings(k=4, max_tree_depth=8),
    SuffixSettings(k=8, max_cached_requests=0),
    SuffixSettings(k=8, max_cached_requests=3, min_token_prob=0.5),
    SuffixSettings(k=6, max_spec_factor=2.5, min_token_prob=0.0),
    SuffixSettings(k=12, max_model_len=60),
]


def vllms_proposer(settings: SuffixSettings) -> Any:
    """vLLM's class without vLLM: importing that takes a minute, and the class needs nothing of it."""
    for package in ("vllm", "arctic_inference"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    origin = importlib.util.find_spec("vllm").origin  # type: ignore[union-attr]
    file = Path(str(origin)).parent / "v1/spec_decode/suffix_decoding.py"
    [proposer] = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef)]
    # Its annotations name vLLM's classes: left as text they need no import.
    later = ast.parse("from __future__ import annotations").body
    space: dict[str, Any] = {}
    exec(compile(ast.Module([*later, proposer], []), str(file), "exec"), space)
    speculation = SimpleNamespace(
        num_speculative_tokens=settings.k,
        suffix_decoding_max_tree_depth=settings.max_tree_depth,
        suffix_decoding_max_spec_factor=settings.max_spec_factor,
        suffix_decoding_min_token_prob=settings.min_token_prob,
        suffix_decoding_max_cached_requests=settings.max_cached_requests,
    )
    model = SimpleNamespace(max_model_len=settings.max_model_len or 10**6)
    return space[proposer.name](SimpleNamespace(speculative_config=speculation, model_config=model))


def served(traces: list[Trace], settings: SuffixSettings) -> Iterator[Step]:
    """One request after the other, each token as the log has it: what a greedy server drafts at each step."""
    proposer = vllms_proposer(settings)
    for trace in traces:
        prompt, end = len(trace.prompt_token_ids), len(trace.prompt_token_ids + trace.output_token_ids)
        said = trace.prompt_token_ids + trace.output_token_ids + trace.beyond_token_ids
        batch = SimpleNamespace(req_ids=[trace.id], req_id_to_index={trace.id: 0}, num_prompt_tokens=[prompt])
        position, sampled = prompt + 1, said[prompt : prompt + 1]
        while True:
            batch.token_ids_cpu = np.array([said], dtype=np.int32)
            batch.num_tokens_no_spec = [position]
            [draft] = proposer.propose(settings.k, batch, [sampled])
            if position >= end:
                break  # it proposed once more: the worker does not know that the request is over
            if settings.max_model_len is not None:
                # The scheduler keeps one place of the model's length for the target's own token.
                draft = draft[: max(0, settings.max_model_len - position - 1)]
            yield trace.id, position, list(draft)
            right = 0
            while right < len(draft) and said[position + right : position + right + 1] == [draft[right]]:
                right += 1
            sampled = said[position : position + right + 1]
            position += right + 1


def drawn(seed: int, longest: int = 60) -> list[Trace]:
    """Answers that repeat pieces of their prompts and of one another, with a wrong token here and there."""
    dice = random.Random(seed)
    vocabulary = dice.choice([3, 12, 400])
    pieces = [[dice.randrange(vocabulary) for _ in range(dice.randrange(2, 12))] for _ in range(8)]

    def text(tokens: int) -> list[int]:
        made: list[int] = []
        while len(made) < tokens:
            made += [t if dice.random() < 0.95 else dice.randrange(vocabulary) for t in dice.choice(pieces)]
        return made[:tokens]

    traces = []
    for number in range(8):
        prompt = dice.randrange(1, longest - 5)
        answer = longest - prompt if number % 4 == 0 else dice.randrange(1, longest - prompt)
        # Behind the model's longest sequence nothing is said.
        beyond = min(16, longest - prompt - answer)
        traces.append(
            Trace(
                id=str(number),
                label="x",
                prompt_token_ids=text(prompt),
                output_token_ids=text(answer),
                beyond_token_ids=text(beyond),
            )
        )
    return traces


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_each_step_drafts_what_vllm_drafts(settings: SuffixSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Step] = []
    draft = SuffixDrafter.draft

    def recorded(self: SuffixDrafter, position: int) -> list[int]:
        found = draft(self, position)
        steps.append((self.request_id, position, list(found)))
        return found

    monkeypatch.setattr(SuffixDrafter, "draft", recorded)
    drafted = 0
    for seed in range(25):
        traces = drawn(seed)
        expected = list(served(traces, settings))
        steps.clear()
        replay_suffix(traces, settings)
        assert steps == expected, (seed, settings)
        drafted += sum(bool(found) for _, _, found in steps)
    assert drafted > 200, "contexts in which nothing is drafted show nothing"

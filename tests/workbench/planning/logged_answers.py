"""Logged answers whose lengths are known, and what drafters yield on them."""

from __future__ import annotations

from accounting.planning.drafting_yield import DraftingYield, always_drafting
from drafts.replay.traces import Trace


def traces(chat: int = 30, copy: int = 10, model: str = "some-model") -> list[Trace]:
    """Chat: 80 tokens and 61; copy: 300 and 121."""
    return [_trace(f"chat-{n}", "chat", 80, 61, model) for n in range(chat)] + [
        _trace(f"copy-{n}", "copy", 300, 121, model) for n in range(copy)
    ]


def _trace(name: str, label: str, prompt: int, output: int, model: str) -> Trace:
    return Trace(
        id=name,
        label=label,
        model=model,
        prompt_token_ids=list(range(prompt)),
        output_token_ids=list(range(output)),
    )


def yields(accepted: float) -> dict[int, dict[str, DraftingYield]]:
    """Of a draft model at k = 1..4, accepted alike on both classes."""
    return {
        k: dict.fromkeys(
            ("chat", "copy"), always_drafting("draft_model", [accepted ** (i + 1) for i in range(k)])
        )
        for k in range(1, 5)
    }

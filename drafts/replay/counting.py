"""Replay traces with a drafter: one count per answer, in trace order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drafts.replay.ngram import NgramDrafter, NgramWindow, match_ends
from drafts.replay.suffix import SuffixDrafter, SuffixSettings, suffix_cache
from drafts.replay.traces import Trace
from drafts.replay.walk import WalkCounts, walk


def replay_ngram(
    traces: Sequence[Trace], window: NgramWindow, ks: Sequence[int], max_model_len: int | None = None
) -> dict[int, list[WalkCounts]]:
    """Counts by k. Each k is walked for itself: where a step begins depends on what was accepted before."""
    counts: dict[int, list[WalkCounts]] = {k: [] for k in ks}
    for trace in traces:
        tokens = trace.prompt_token_ids + trace.output_token_ids
        ends = match_ends(np.asarray(tokens, dtype=np.int64), window)
        for k in ks:
            drafter = NgramDrafter(tokens, ends, k, max_model_len, window.runner)
            counts[k].append(walk(tokens, len(trace.prompt_token_ids), drafter, k, trace.beyond_token_ids))
    return counts


def replay_suffix(traces: Sequence[Trace], settings: SuffixSettings) -> list[WalkCounts]:
    """Counts for one k, the cache growing from trace to trace.

    Raises:
        MachineError: if arctic-inference is not installed.
    """
    cache = suffix_cache(settings)
    counts = []
    for trace in traces:
        tokens = trace.prompt_token_ids + trace.output_token_ids
        prompt_tokens = len(trace.prompt_token_ids)
        drafter = SuffixDrafter(cache, settings, trace.id, tokens + trace.beyond_token_ids, prompt_tokens)
        counted = walk(tokens, prompt_tokens, drafter, settings.k, trace.beyond_token_ids)
        drafter.close(len(tokens) + counted.made_beyond)
        counts.append(counted)
    return counts

"""Acceptance of drafted tokens, from counter differences. Three different quantities, kept apart.

- acceptance length AL = 1 + accepted / drafts: tokens per *drafted* step.
- acceptance rate = accepted / drafted tokens.
- tokens per step = (generated - first tokens) / decode steps of requests, undrafted steps included.

vLLM counts a step only if something was drafted, so AL flatters drafters that often stay silent
(n-gram, suffix); tokens per step does not.
"""

from __future__ import annotations

from accounting import metric_names as names
from accounting.counters import CounterChange
from accounting.missing import Measured, measured, not_measured

NO_SPECULATION = "the server does not speculate"
NO_DRAFTS = "nothing was drafted in this window"


def acceptance_length(change: CounterChange) -> Measured:
    """AL = 1 + accepted / drafts, between 1 and k + 1; drafted steps only."""
    if not change.has(names.DRAFTS):
        return not_measured(NO_SPECULATION)
    drafts = change.increase(names.DRAFTS)
    if drafts == 0:
        return not_measured(NO_DRAFTS)
    return measured(1.0 + change.increase(names.ACCEPTED_TOKENS) / drafts)


def acceptance_rate(change: CounterChange) -> Measured:
    """Accepted / drafted tokens, between 0 and 1."""
    if not change.has(names.DRAFT_TOKENS):
        return not_measured(NO_SPECULATION)
    drafted = change.increase(names.DRAFT_TOKENS)
    if drafted == 0:
        return not_measured(NO_DRAFTS)
    return measured(change.increase(names.ACCEPTED_TOKENS) / drafted)


def acceptance_by_position(change: CounterChange) -> list[float]:
    """s_i for i = 1..k: share of drafts whose first i tokens were all accepted. Empty without drafts."""
    drafts = change.increase(names.DRAFTS)
    if drafts == 0:
        return []
    by_position = change.by_label(names.ACCEPTED_TOKENS_PER_POSITION)
    return [by_position[key] / drafts for key in sorted(by_position, key=int)]


def tokens_per_step(change: CounterChange) -> Measured:
    """(generated tokens - first tokens) / decode steps of requests; 1.0 exactly without speculation."""
    steps = change.increase(names.DECODE_STEPS)
    if steps == 0:
        return not_measured("no decode step in this window")
    first_tokens = change.increase(names.FIRST_TOKENS)
    return measured((change.increase(names.GENERATION_TOKENS) - first_tokens) / steps)

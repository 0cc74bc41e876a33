"""Do the client and the server agree to the token? If not, the cost is withheld.

Checked idle to idle (warm-up included): the sum of `usage.completion_tokens` over all records equals the
change of vLLM's generation counter, the same for prompt tokens, and where token ids were asked for, their
count equals `usage`. Requests that failed after the server started them leave tokens in the counter that
no `usage` states: they widen equality to a stated bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accounting import metric_names as names
from accounting.counters import CounterChange
from accounting.record_columns import UNKNOWN, Records, as_columns, total


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The three counts and whether they agree. `bound` is by how many tokens they may differ."""

    usage_output_tokens: int
    server_output_tokens: int
    usage_prompt_tokens: int
    server_prompt_tokens: int
    token_ids_checked: int  # requests for which ids were counted
    token_ids_differ: int  # of these, how many had another count than `usage`
    bound: int
    reconciled: bool
    reason: str  # empty when reconciled


def reconcile(records: Records, change: CounterChange, *, max_output_tokens: int) -> Reconciliation:
    """Compare all records of a cell, warm-up included, with the counters from idle to idle.

    Args:
        records: every request sent between the two idle samples.
        change: counter difference between the idle samples.
        max_output_tokens: most tokens one request may produce; the bound is this times the number of
            requests that failed and may have left tokens behind.

    Raises:
        ValueError: if the counters were reset in between.
    """
    columns = as_columns(records)
    complete = columns.completion_tokens != UNKNOWN
    usage_output = total(columns.completion_tokens)
    usage_prompt = total(columns.prompt_tokens[complete])
    server_output = round(change.increase(names.GENERATION_TOKENS))
    server_prompt = round(change.increase(names.PROMPT_TOKENS))
    accepted = (columns.http_status == UNKNOWN) | (columns.http_status == 200)
    unknown = int((~columns.ok & ~np.isnan(columns.sent_s) & accepted).sum())
    bound = unknown * max_output_tokens
    with_ids = complete & (columns.token_ids_count != UNKNOWN) & columns.ok
    checked = int(with_ids.sum())
    differ = int((columns.token_ids_count != columns.completion_tokens)[with_ids].sum())
    problems = []
    if not 0 <= server_output - usage_output <= bound:
        problems.append(
            f"the server counted {server_output} output tokens, the answers' usage says {usage_output}"
            + (f" ({unknown} unfinished requests explain at most {bound})" if bound else "")
        )
    if usage_prompt != server_prompt and not unknown:
        problems.append(f"the server counted {server_prompt} prompt tokens, usage says {usage_prompt}")
    if differ:
        problems.append(f"{differ} of {checked} answers returned another number of token ids than usage")
    if not complete.any():
        problems.append("no answer stated its usage")
    return Reconciliation(
        usage_output_tokens=usage_output,
        server_output_tokens=server_output,
        usage_prompt_tokens=usage_prompt,
        server_prompt_tokens=server_prompt,
        token_ids_checked=checked,
        token_ids_differ=differ,
        bound=bound,
        reconciled=not problems,
        reason="; ".join(problems),
    )

"""Achieved prefix-cache hits against what the prompts' own tokens imply, where the prompts are exact tokens.

Counted from the idle server before the load to the idle server after it, warm-up included on both sides: vLLM
counts a request when it is first scheduled, so a window's edges would cut off what waits there. `--warm-up 0`
leaves only the trace. Implied is what a cache that starts empty hits on the same requests in the order in which
they were sent: one that never evicts, and one of the server's size that finishes each request before the next.
Without eviction the order hardly matters: every distinct block is computed once, whoever comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from accounting import metric_names
from accounting.record_columns import UNKNOWN, RecordColumns, as_columns
from loadtest.workloads import Prompt, Workload
from loadtest.workloads.prefix_hits import HitShare, implied_hit_share
from workbench.cell_data import CellData
from workbench.kv_blocks import KvBlocks


def achieved_hits(workload: Workload, data: CellData, kv: KvBlocks) -> dict[str, Any] | None:
    """Both, in tokens and as shares of what was queried; None where prompts are text, whose tokens are not known.

    `reason` says why a share is None.
    """
    prompts = _exact_prompts(workload)
    if prompts is None:
        return None
    columns = as_columns(data.records)
    columns = columns.take(~np.isnan(columns.sent_s))
    sent = columns.take(np.argsort(columns.sent_s, kind="stable"))
    counted, reasons = _counted(data)
    document: dict[str, Any] = {
        "over": "idle to idle, warm-up included",
        "requests": len(sent),
        "warm_up_requests": int((~sent.measured).sum()),
        "failed_requests": int((~sent.ok).sum()),
        "prompt_tokens": sum(len(prompts[prompt_id].token_ids or ()) for prompt_id in sent.prompt_id),
        "block_tokens": kv.tokens,
        "capacity_blocks": kv.capacity,
        **counted,
        "implied": None,
        "implied_hit_tokens": None,
        "implied_at_capacity": None,
        "implied_at_capacity_hit_tokens": None,
    }
    if not kv.prefix_caching:
        reasons.append("the server's prefix cache is off")
    elif kv.tokens is not None:
        endless = _implied(prompts, sent, kv, None)
        document |= {"implied": endless.share, "implied_hit_tokens": endless.hit_tokens}
        if kv.capacity is not None:
            try:
                limited = _implied(prompts, sent, kv, kv.capacity)
                document["implied_at_capacity"] = limited.share
                document["implied_at_capacity_hit_tokens"] = limited.hit_tokens
            except ValueError as error:
                reasons.append(str(error))
    if kv.reason:
        reasons.append(kv.reason)
    return document | {"reason": "; ".join(reasons) or None}


def _exact_prompts(workload: Workload) -> dict[str, Prompt] | None:
    if any(prompt.token_ids is None or prompt.turns for prompt in workload.prompts):
        return None
    return {prompt.prompt_id: prompt for prompt in workload.prompts}


def _counted(data: CellData) -> tuple[dict[str, Any], list[str]]:
    change = data.idle_to_idle
    if change is None or change.reset:
        why = data.metrics_error or f"counters were reset: {', '.join(change.reset if change else ())}"
        return {"achieved": None, "hit_tokens": None, "queried_tokens": None}, [why]
    queries = round(change.increase(metric_names.PREFIX_CACHE_QUERIES))
    hits = round(change.increase(metric_names.PREFIX_CACHE_HITS))
    share = hits / queries if queries else None
    return {"achieved": share, "hit_tokens": hits, "queried_tokens": queries}, []


def _implied(
    prompts: dict[str, Prompt], sent: RecordColumns, kv: KvBlocks, capacity_blocks: int | None
) -> HitShare:
    assert kv.tokens is not None
    return implied_hit_share(
        _as_answered(prompts, sent),
        block_tokens=kv.tokens,
        capacity_blocks=capacity_blocks,
        drops_last_hit=kv.drops_last_hit,
    )


def _as_answered(prompts: dict[str, Prompt], sent: RecordColumns) -> Iterator[Prompt]:
    """Each prompt with the answer that it really got, which takes blocks too: warm-up answers are cut short."""
    for prompt_id, tokens in zip(sent.prompt_id, sent.completion_tokens.tolist(), strict=True):
        prompt = prompts[prompt_id]
        yield replace(prompt, output_tokens=prompt.output_tokens if tokens in (UNKNOWN, 0) else tokens)

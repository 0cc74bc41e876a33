"""How large a server's KV blocks are and how many there are, as the server itself says.

vLLM says it at `/server_info` (dev mode only) and as labels of `vllm:cache_config_info` on its metrics page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

CACHE_INFO = "vllm:cache_config_info"
NOT_VLLM = "the server does not say how large its KV blocks are"
_RESERVED = 1  # block 0 is vLLM's placeholder: it never holds tokens
#: Methods after whose hits vLLM computes the last block again (`SpeculativeConfig.use_eagle`).
_DROPS_LAST_HIT = frozenset({"eagle", "eagle3", "mtp", "dflash", "dspark"})

#: Set where a cache of several kinds of layers (Mamba beside attention) may hit parts of a block
#: (`resolve_kv_cache_block_sizes`); a cache of one kind hits whole blocks.
_FINER_HITS = ("mamba_block_size", "hash_block_size", "prefix_match_unit", "cache_hit_alignment_tokens")


@dataclass(frozen=True, slots=True)
class KvBlocks:
    """A server's KV blocks. What is None is unknown, and `reason` says why."""

    tokens: int | None = None  # of one block
    capacity: int | None = None  # blocks that can hold tokens, of one engine
    reason: str = ""  # empty when both are known
    prefix_caching: bool = True
    drops_last_hit: bool = False
    hits_whole_blocks: bool = True


def kv_blocks(resolved: Mapping[str, Any], metrics_text: str) -> KvBlocks:
    """The blocks by what the engine resolved (flat, empty where it is not offered), else by the metrics page.

    Never raises for a page that cannot be read: the blocks are then unknown.
    """
    engines = _engines_on(metrics_text)
    facts = _resolved_facts(resolved) or (engines[0] if engines else {})
    tokens, count = _whole(facts.get("block_size")), _whole(facts.get("num_gpu_blocks"))
    if tokens is None:
        return KvBlocks(reason=NOT_VLLM)
    method = str(resolved.get("speculative_config.method"))
    kept = bool(resolved.get("speculative_config.disable_eagle_block_drop"))
    capacity, reason = _capacity(count, len(engines))
    return KvBlocks(
        tokens,
        capacity,
        reason,
        prefix_caching=str(facts.get("enable_prefix_caching")) != "False",
        drops_last_hit=method in _DROPS_LAST_HIT and not kept,
        hits_whole_blocks=all(str(facts.get(name)) == "None" for name in _FINER_HITS),
    )


def _capacity(count: int | None, engines: int) -> tuple[int | None, str]:
    if engines > 1:
        return None, f"{engines} engines have a cache each, and who gets which request is the server's choice"
    if count is None or count <= _RESERVED:
        return None, "the server does not say how many KV blocks it has"
    return count - _RESERVED, ""


def _resolved_facts(resolved: Mapping[str, Any]) -> dict[str, Any]:
    section = "cache_config."
    facts = {name.removeprefix(section): v for name, v in resolved.items() if name.startswith(section)}
    return facts if {"block_size", "num_gpu_blocks"} <= facts.keys() else {}


def _engines_on(page: str) -> list[dict[str, str]]:
    """The labels of each engine's cache; none where there is no such metric, or no such page."""
    if CACHE_INFO not in page:
        return []
    try:
        return [
            sample.labels
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == CACHE_INFO
        ]
    except (ValueError, KeyError):
        return []


def _whole(value: object) -> int | None:
    """An integer above 0, also from a label; None for anything else (`None` is a label's text, too)."""
    text = str(value)
    return int(text) if text.isdecimal() and int(text) > 0 else None

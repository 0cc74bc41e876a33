"""Whether an arm of an experiment keeps weights and caches in the numbers of an estimate, and on as many devices."""

from __future__ import annotations

from accounting.estimate.placement import Placement
from accounting.estimate.weight_bytes import Format
from serving.config import ServerConfig
from serving.number_type import FLOAT32

_QUANTISED_BY = {"fp8": Format.FP8}


def lies_otherwise(
    config: ServerConfig, placed: Placement, stored: Format | None, *, dtype: str | None = None
) -> str:
    """In what the arm differs from the placement, in a word or two; empty where it does not.

    `stored`: the number format of a quantised checkpoint, None for one in 16 or 32 bits. `dtype`: what the engine resolved the
    number type to (`torch.float32`), None where it is not known: then what was declared counts.
    """
    parallel = config.parallelism
    ways = (parallel.tensor_parallel_size, parallel.pipeline_parallel_size, parallel.data_parallel_size)
    if tuple(way or 1 for way in ways) != (placed.tensor, placed.pipeline, placed.data):
        return "devices"
    in_float32 = (dtype or config.model.dtype).removeprefix("torch.") == FLOAT32
    if _weights(config, stored, in_float32=in_float32) is not placed.weights:
        return "weights"
    if _cache_element_bytes(config, in_float32=in_float32) != placed.cache_element_bytes:
        return "keys and values"
    return ""


def _weights(config: ServerConfig, stored: Format | None, *, in_float32: bool) -> Format | None:
    """None where a method quantises while loading to something that the estimate does not know."""
    if stored is not None:
        return stored
    if config.model.quantization is not None:
        return _QUANTISED_BY.get(config.model.quantization)
    return Format.FLOAT32 if in_float32 else Format.BFLOAT16


def _cache_element_bytes(config: ServerConfig, *, in_float32: bool) -> float | None:
    kept = config.kv_cache.dtype
    if kept == "auto":
        return 4.0 if in_float32 else 2.0
    if kept.startswith("fp8"):
        return 1.0
    return {"bfloat16": 2.0, "float16": 2.0, "float32": 4.0}.get(kept)

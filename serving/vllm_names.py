"""Every name that vLLM owns, by version: flags, where the engine reports what it made of them, metrics.

One row per field of `serving.config`. The same rows build the command line (`command.py`), read one back
(`command_import.py`), and find what was declared and resolved otherwise (`declared.py`), so a flag is named
once. A new vLLM gets an entry of its own in `KNOWN`; until then it is served with the newest entry's names and
a warning that lists what its source no longer holds (`unrecognised.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from accounting import metric_names


class Kind(StrEnum):
    """How a flag carries its value."""

    VALUE = "value"  # --flag VALUE
    SWITCH = "switch"  # --flag / --no-flag
    PRESENT = "present"  # --flag or nothing
    JSON = "json"  # --flag '{"a": 1}'


@dataclass(frozen=True, slots=True)
class Option:
    """A config field, its flag, and the dotted key under which `/server_info` says what it became.

    `resolved` is None where the engine does not report it under a name of its own.
    """

    field: str
    flag: str
    kind: Kind = Kind.VALUE
    resolved: str | None = None


@dataclass(frozen=True, slots=True)
class EngineNames:
    """The names of one vLLM version (major.minor)."""

    version: str
    options: tuple[Option, ...]
    metrics: tuple[str, ...]
    speculative_flag: str = "--speculative-config"
    model_flag: str = "--model"


_V0_32 = EngineNames(
    version="0.32",
    options=(
        Option("model.served_model_name", "--served-model-name"),
        Option("model.dtype", "--dtype", resolved="model_config.dtype"),
        Option("model.quantization", "--quantization", resolved="model_config.quantization"),
        Option("model.generation_config", "--generation-config", resolved="model_config.generation_config"),
        Option("model.max_model_len", "--max-model-len", resolved="model_config.max_model_len"),
        Option(
            "model.trust_remote_code",
            "--trust-remote-code",
            Kind.PRESENT,
            resolved="model_config.trust_remote_code",
        ),
        Option("batching.max_num_seqs", "--max-num-seqs", resolved="scheduler_config.max_num_seqs"),
        Option(
            "batching.max_num_batched_tokens",
            "--max-num-batched-tokens",
            resolved="scheduler_config.max_num_batched_tokens",
        ),
        Option(
            "batching.enable_chunked_prefill",
            "--enable-chunked-prefill",
            Kind.SWITCH,
            resolved="scheduler_config.enable_chunked_prefill",
        ),
        Option(
            "batching.long_prefill_token_threshold",
            "--long-prefill-token-threshold",
            resolved="scheduler_config.long_prefill_token_threshold",
        ),
        Option("batching.scheduling_policy", "--scheduling-policy", resolved="scheduler_config.policy"),
        Option(
            "batching.async_scheduling",
            "--async-scheduling",
            Kind.SWITCH,
            resolved="scheduler_config.async_scheduling",
        ),
        Option(
            "kv_cache.enable_prefix_caching",
            "--enable-prefix-caching",
            Kind.SWITCH,
            resolved="cache_config.enable_prefix_caching",
        ),
        Option("kv_cache.block_size", "--block-size", resolved="cache_config.block_size"),
        Option("kv_cache.dtype", "--kv-cache-dtype", resolved="cache_config.cache_dtype"),
        Option(
            "kv_cache.kv_cache_memory_bytes",
            "--kv-cache-memory-bytes",
            resolved="cache_config.kv_cache_memory_bytes",
        ),
        Option(
            "kv_cache.gpu_memory_utilization",
            "--gpu-memory-utilization",
            resolved="cache_config.gpu_memory_utilization",
        ),
        Option("kv_cache.cpu_offload_gb", "--cpu-offload-gb", resolved="offload_config.uva.cpu_offload_gb"),
        Option(
            "kv_cache.kv_offloading_size",
            "--kv-offloading-size",
            resolved="cache_config.kv_offloading_size",
        ),
        Option("kv_cache.kv_transfer_config", "--kv-transfer-config", Kind.JSON),
        Option(
            "parallelism.tensor_parallel_size",
            "--tensor-parallel-size",
            resolved="parallel_config.tensor_parallel_size",
        ),
        Option(
            "parallelism.pipeline_parallel_size",
            "--pipeline-parallel-size",
            resolved="parallel_config.pipeline_parallel_size",
        ),
        Option(
            "parallelism.data_parallel_size",
            "--data-parallel-size",
            resolved="parallel_config.data_parallel_size",
        ),
        Option(
            "parallelism.distributed_executor_backend",
            "--distributed-executor-backend",
            resolved="parallel_config.distributed_executor_backend",
        ),
        Option(
            "parallelism.enable_expert_parallel",
            "--enable-expert-parallel",
            Kind.SWITCH,
            resolved="parallel_config.enable_expert_parallel",
        ),
        Option(
            "engine.enforce_eager",
            "--enforce-eager",
            Kind.SWITCH,
            resolved="model_config.enforce_eager",
        ),
    ),
    metrics=(*metric_names.ALL_COUNTERS, *metric_names.GAUGES),
)

#: Tested versions, oldest first.
KNOWN: dict[str, EngineNames] = {"0.32": _V0_32}
NEWEST = _V0_32


def names_for(version: str | None) -> EngineNames:
    """The names of a vLLM version; the newest known ones for a version that nobody tested."""
    return KNOWN.get(minor(version), NEWEST) if version else NEWEST


def minor(version: str) -> str:
    """`0.32.0+cpu` -> `0.32`."""
    return ".".join(version.split("+")[0].split(".")[:2])


def version_warning(version: str | None) -> str:
    """Empty for a tested version; otherwise what that means for the reader."""
    if version is None:
        return "the server does not say which vLLM it is: names of flags and metrics are taken to be " + (
            f"those of {NEWEST.version}."
        )
    if minor(version) in KNOWN:
        return ""
    return (
        f"vLLM {version} is not a version that kilotoken was tested with ({', '.join(KNOWN)}): "
        f"the names of {NEWEST.version} are used."
    )

"""The configuration as the engine resolved it, flat and comparable, without secrets or noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Differ between two starts of one configuration, or carry what must not be stored.
NOISE = frozenset(
    {
        "instance_id",
        "model_config.hf_token",
        "parallel_config.data_parallel_rpc_port",
        "parallel_config.data_parallel_master_port",
        "parallel_config.master_port",
        "parallel_config.disable_nccl_for_dp_synchronization",
    }
)

#: The speculative section repeats the target's and the draft's whole configuration: too much to show.
REPEATED = ("speculative_config.target_model_config", "speculative_config.target_parallel_config")
DRAFT_DETAIL = ("speculative_config.draft_model_config", "speculative_config.draft_parallel_config")


def flatten_server_info(info: Mapping[str, Any]) -> dict[str, Any]:
    """`/server_info` -> {"scheduler_config.max_num_seqs": 64, ...}; only the engine's configuration."""
    flat: dict[str, Any] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                walk(inner, f"{path}.{key}" if path else str(key))
        elif path not in NOISE and not path.startswith(REPEATED):
            flat[path] = value

    walk(info.get("vllm_config", {}), "")
    return dict(sorted(flat.items()))


def resolved_difference(baseline: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Fields that the engine resolved differently: (field, baseline's value, the other's value).

    A draft's own model section is shown only by its path: its other fields have no counterpart.
    """
    fields = sorted(set(baseline) | set(other))
    different = [(f, baseline.get(f), other.get(f)) for f in fields if baseline.get(f) != other.get(f)]
    return [
        row
        for row in different
        if not row[0].startswith(DRAFT_DETAIL) or row[0] == "speculative_config.draft_model_config.model"
    ]

"""In which number format a quantised checkpoint stores its weights, by the quantization_config of its config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounting.estimate.weight_bytes import Format
from serving.models.checkpoint_facts import CheckpointFacts

_BY_BITS = {4: Format.INT4, 8: Format.INT8}
#: Methods whose weights are whole numbers of so many `bits`.
_OF_WHOLE_NUMBERS = (
    "gptq",
    "gptq_marlin",
    "awq",
    "awq_marlin",
    "auto-round",
    "autoround",
    "auto_round",
    "intel/auto-round",
)
#: Methods whose weights are 8-bit floats.
_OF_FLOATS = ("fp8", "fbgemm_fp8")


def stored_format(facts: CheckpointFacts) -> tuple[Format | None, str]:
    """The format, None for weights in 16 or 32 bits; and what a reader should know where it is none that an estimate knows."""
    said = facts.value("quantization_config")
    if said is None:
        said = facts.value("compression_config")
    if said is None:
        return None, ""
    method = str(said.get("quant_method") or "no method") if isinstance(said, Mapping) else "no object"
    found = _format(method.lower(), said) if isinstance(said, Mapping) else None
    if found is not None:
        return found, ""
    return None, (
        f"The checkpoint is quantised ({method}) in a way that the estimate does not know: its weights are taken as bfloat16, "
        "which is more than they are. --dtype names the nearest format."
    )


def _format(method: str, said: Mapping[str, Any]) -> Format | None:
    if method in _OF_FLOATS:
        return Format.FP8
    if method in _OF_WHOLE_NUMBERS:
        return _whole(said.get("bits") or said.get("w_bit"))
    if method == "bitsandbytes":
        return Format.INT4 if said.get("load_in_4bit") else Format.INT8 if said.get("load_in_8bit") else None
    if method == "modelopt":
        return Format.FP8 if str(said.get("quant_algo", "")).upper() == "FP8" else None
    if method == "compressed-tensors":
        return _compressed(said)
    return None


def _whole(bits: Any) -> Format | None:
    return _BY_BITS.get(bits) if isinstance(bits, int) else None


def _compressed(said: Mapping[str, Any]) -> Format | None:
    """One format where all groups of layers share it."""
    groups = said.get("config_groups")
    if not isinstance(groups, Mapping) or not groups:
        return None
    found = set()
    for group in groups.values():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if not isinstance(weights, Mapping):
            return None
        kind, bits = str(weights.get("type")), weights.get("num_bits")
        found.add(_whole(bits) if kind == "int" else Format.FP8 if (kind, bits) == ("float", 8) else None)
    return found.pop() if len(found) == 1 else None

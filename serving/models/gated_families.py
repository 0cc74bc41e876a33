"""Families built like Llama: grouped attention, gated blocks, scales without bias; and how each departs from it.

Facts are those of the families' classes in transformers 5.19 and vLLM 0.32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from accounting.estimate.shape import LayerKind, ModelShape
from serving.models import expert_layers
from serving.models.config_fields import ConfigFields
from serving.models.layer_parts import Block, attention, decoder, windows

Slides = Callable[[int], bool]


def _stated(fields: ConfigFields) -> tuple[bool, bool]:
    """Biases as attention_bias says: of queries, keys and values, and of the output."""
    stated = fields.flag("attention_bias", False)
    return stated, stated


def _unless_denied(fields: ConfigFields) -> tuple[bool, bool]:
    stated = fields.flag("attention_bias", True)
    return stated, stated


def _window(fields: ConfigFields) -> int | None:
    return fields.optional("sliding_window", least=0) or None


def _switched_window(fields: ConfigFields) -> int | None:
    """Qwen names a window and does without it unless use_sliding_window is true."""
    return _window(fields) if fields.flag("use_sliding_window", False) else None


def _all(_fields: ConfigFields) -> Slides:
    return lambda _layer: True


def _none(_fields: ConfigFields) -> Slides:
    """Windows only where layer_types puts them."""
    return lambda _layer: False


def _even(_fields: ConfigFields) -> Slides:
    return lambda layer: not layer % 2


def _all_but_every(default: int) -> Callable[[ConfigFields], Slides]:
    """Each n-th layer sees everything."""

    def slides(fields: ConfigFields) -> Slides:
        every = fields.count("sliding_window_pattern", default)
        return lambda layer: bool((layer + 1) % every)

    return slides


def _qwen_last(fields: ConfigFields) -> Slides:
    first = fields.count("max_window_layers", 28, least=0)
    return lambda layer: layer >= first


def _qwen_even(fields: ConfigFields) -> Slides:
    end = fields.count("max_window_layers", 28, least=0)
    return lambda layer: not layer % 2 and layer < end


def _rotated(fields: ConfigFields) -> Slides:
    """Llama 4: a layer with rotary positions stays in its chunk (no_rope_layers says 1), each fourth sees everything."""
    rotary = fields.listed("no_rope_layers", int)
    every = fields.count("no_rope_layer_interval", 4)
    if rotary:
        return lambda layer: layer < len(rotary) and bool(rotary[layer])
    return lambda layer: bool((layer + 1) % every)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """How a family departs from Llama; the defaults are Llama.

    `fixed`: settings that the family's class fills with a number where config.json leaves them out.
    """

    biases: Callable[[ConfigFields], tuple[bool, bool]] = _stated
    qk_norm: Literal["none", "head", "width"] = "none"
    sinks: bool = False
    norms: int = 2
    tied: bool = False
    window: Callable[[ConfigFields], int | None] = _window
    slides: Callable[[ConfigFields], Slides] = _none
    blocks: Callable[[ConfigFields, int], list[Block]] = expert_layers.dense
    fixed: Mapping[str, int] = field(default_factory=dict)


_QWEN2 = Gated(biases=lambda _fields: (True, False), window=_switched_window, slides=_qwen_last)
_QWEN3 = Gated(qk_norm="head", window=_switched_window, slides=_qwen_last, fixed={"head_dim": 128})
_GEMMA = Gated(tied=True, fixed={"head_dim": 256})
_GEMMA2 = replace(_GEMMA, norms=4, slides=_even)

GATED: dict[str, Gated] = {
    "llama": Gated(),
    "mistral": Gated(slides=_all),
    "mixtral": Gated(slides=_all, blocks=expert_layers.mixtral),
    "granite": Gated(),
    "granitemoe": Gated(blocks=expert_layers.mixtral),
    "phi3": Gated(slides=_all),
    "qwen2": _QWEN2,
    "qwen2_moe": replace(
        _QWEN2,
        biases=lambda fields: (fields.flag("qkv_bias", True), False),
        slides=_qwen_even,
        blocks=expert_layers.qwen2_moe,
    ),
    "qwen3": _QWEN3,
    "qwen3_moe": replace(_QWEN3, slides=_all, blocks=expert_layers.qwen3_moe, fixed={}),
    "gemma": _GEMMA,
    "gemma2": _GEMMA2,
    "gemma3_text": replace(_GEMMA2, qk_norm="head", slides=_all_but_every(6)),
    "olmo2": Gated(qk_norm="width"),
    "olmo3": Gated(qk_norm="width", slides=_all_but_every(4)),
    "olmoe": Gated(qk_norm="width", blocks=expert_layers.olmoe),
    "gpt_oss": Gated(
        biases=_unless_denied,
        sinks=True,
        slides=_even,
        blocks=expert_layers.gpt_oss,
    ),
    "llama4_text": Gated(
        window=lambda fields: fields.optional("attention_chunk_size"),
        slides=_rotated,
        blocks=expert_layers.llama4,
        fixed={"head_dim": 128},
    ),
}

#: How an unknown family with Llama's keys is read.
UNKNOWN = Gated(blocks=expert_layers.any_family)


def read_gated(family: Gated, fields: ConfigFields) -> ModelShape:
    """The shape of a model of this family; what is missing or wrong is left in `fields`.

    Raises:
        ValueError: where the numbers are no shape, or stand for settings that are missing.
    """
    layers = fields.layers()
    qkv_bias, out_bias = family.biases(fields)
    mixer = attention(fields, qkv_bias=qkv_bias, out_bias=out_bias, qk_norm=family.qk_norm)
    mixer = replace(mixer, sinks=family.sinks)
    within = windows(fields, layers, family.window(fields), family.slides(fields))
    blocks = family.blocks(fields, layers)
    kinds = [
        LayerKind(count=1, mixer=replace(mixer, window=window), feed_forward=block, norms=family.norms)
        for window, block in zip(within, blocks, strict=False)
    ]
    return decoder(fields, kinds, tied=family.tied)

"""Reads the shape of a language model from its config.json: which family it is, and what the reader has to be told.

A family is known by `model_type`, else by the class in `architectures`. One that is not known is read like Llama, with a
note, if it has Llama's keys and nothing in it keeps something else than keys and values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

from accounting.errors import ModelError
from accounting.estimate.parameters import parameters
from accounting.estimate.shape import ModelShape
from serving.models import other_mixers, ungated_families
from serving.models.checkpoint_facts import CheckpointFacts
from serving.models.config_fields import ConfigFields
from serving.models.gated_families import GATED, UNKNOWN, read_gated
from serving.models.language_model_check import refuse_other_mixers, refuse_other_models
from serving.models.unread_experts import check_experts, unread_note

_READERS: dict[str, Callable[[ConfigFields], ModelShape]] = {
    **{name: partial(read_gated, family) for name, family in GATED.items()},
    "gpt2": ungated_families.gpt2,
    "opt": ungated_families.opt,
    "gpt_neox": ungated_families.gpt_neox,
    "falcon": ungated_families.falcon,
    "bloom": ungated_families.bloom,
    "starcoder2": ungated_families.starcoder2,
    "deepseek_v2": other_mixers.deepseek_v2,
    "deepseek_v3": other_mixers.deepseek_v3,
    "mamba": other_mixers.mamba,
    "jamba": other_mixers.jamba,
}

#: Other model types and classes whose layers are exactly those of a family above.
_SAME_AS = {
    "ministral": "mistral",
    "ministral3": "mistral",
    "qwen2_vl": "qwen2",
    "qwen2_vl_text": "qwen2",
    "qwen2_5_vl": "qwen2",
    "qwen2_5_vl_text": "qwen2",
    "qwen3_vl_text": "qwen3",
    "qwen3_vl_moe_text": "qwen3_moe",
    "kimi_k2": "deepseek_v3",
    "RefinedWeb": "falcon",
    "RefinedWebModel": "falcon",
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "DeepseekV2ForCausalLM": "deepseek_v2",
    "DeepseekV3ForCausalLM": "deepseek_v3",
    "RWForCausalLM": "falcon",
}

#: What a part inside a larger config.json leaves out where it is its class's own number (transformers 5.19).
_INSIDE: dict[str, dict[str, int]] = {
    "llama": {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
    "gemma3_text": {
        "vocab_size": 262_208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4,
    },
}  # fmt: skip

#: Parts of a model beside its language model.
_BESIDE = ("vision_config", "audio_config")
_PREDICTION_LAYERS = ("num_nextn_predict_layers", "num_mtp_layers")

#: How far the elements of a checkpoint's files may be from those of its shape before that is said.
_DISAGREES = 0.01


@dataclass(frozen=True, slots=True)
class ReadShape:
    """A shape, the family whose rules were used, and what was assumed or left out, in words for the user."""

    shape: ModelShape
    family: str
    notes: tuple[str, ...]


def shape_from_config(config: Mapping[str, Any], *, name: str) -> ModelShape:
    """The shape of the model that a config.json describes; `name` is what the user calls it.

    Raises:
        ModelError: as `read_shape` does.
    """
    return read_shape(CheckpointFacts(name, config)).shape


def read_shape(facts: CheckpointFacts) -> ReadShape:
    """The same with the family it was read as, and notes.

    Raises:
        ModelError: if it is no language model of its own, or settings are missing or wrong: all of them are named.
    """
    if not isinstance(facts.config, Mapping):
        raise ModelError(f"{facts.name}: config.json holds {type(facts.config).__name__}, not an object.")
    refuse_other_models(facts)
    family = _family(facts)
    model_type = str(facts.language_part.get("model_type") or "without a model_type")
    if family is None:
        refuse_other_mixers(facts, model_type)
    fixed = {**(GATED[family].fixed if family in GATED else {})}
    if facts.language_part is not facts.config:
        fixed |= _INSIDE.get(family or "", {})
    fields = ConfigFields(facts, family or f"Llama-like ({model_type})", fixed)
    shape = _read(fields, _READERS[family] if family else partial(read_gated, UNKNOWN))
    notes = (_unknown_note(facts, model_type),) if family is None else ()
    return ReadShape(
        shape,
        family or "llama",
        (*notes, *_notes(fields), *unread_note(fields, shape), *_stored_note(facts, shape)),
    )


def _family(facts: CheckpointFacts) -> str | None:
    """By model_type, else by the first class that is known."""
    part = facts.language_part
    inner = part.get("architectures")
    classes = (*(inner if isinstance(inner, list) else ()), *facts.architectures)
    for said in (part.get("model_type"), *classes):
        family = _SAME_AS.get(str(said), str(said))
        if family in _READERS:
            return family
    return None


def _read(fields: ConfigFields, reader: Callable[[ConfigFields], ModelShape]) -> ModelShape:
    """What is missing comes before what follows from it."""
    try:
        shape = reader(fields)
    except ValueError as error:
        fields.check()
        raise ModelError(
            f"{fields.facts.name or 'The model'}: its config.json, read as {fields.family}, describes no model:"
            f" {error}.",
            hint="Compare it with the config.json that the model's authors publish.",
        ) from error
    check_experts(fields, shape)
    fields.check()
    return shape


def _unknown_note(facts: CheckpointFacts, model_type: str) -> str:
    tied = "" if facts.value("tie_word_embeddings") is not None else ", a head of its own"
    return (
        f"The family ({model_type}) is not known here. It was read like Llama: gated blocks, two norms a layer{tied}, "
        "biases only if attention_bias or mlp_bias says so. Compare the parameters with the published count."
    )


def _notes(fields: ConfigFields) -> list[str]:
    """What was taken for granted, and what of the model is not in the shape."""
    facts, notes = fields.facts, []
    if fields.assumed:
        taken = ", ".join(f"{name} = {value:,}" for name, value in fields.assumed.items())
        notes.append(f"config.json leaves out {taken}: what {fields.family} has by default.")
    notes += [f"The part of {key} is not counted." for key in _BESIDE if facts.config.get(key) is not None]
    for key in _PREDICTION_LAYERS:
        if facts.integer(key):
            notes.append(
                f"{key} = {facts.integer(key)}: not counted, as a server loads them for speculation only."
            )
    return notes


def _stored_note(facts: CheckpointFacts, shape: ModelShape) -> list[str]:
    """Where the checkpoint's files lie here and are no quantised form: whether they hold what the shape says."""
    if not facts.shapes or facts.value("quantization_config") is not None:
        return []
    if any(facts.config.get(key) is not None for key in _BESIDE):
        return []
    twice = shape.tied and facts.shapes.get("lm_head.weight")
    stored = sum(prod(dimensions) for dimensions in facts.shapes.values()) - (prod(twice) if twice else 0)
    said = parameters(shape).total
    if abs(stored - said) <= _DISAGREES * said:
        return []
    return [f"The checkpoint's files hold {stored:,} elements where config.json implies {said:,} parameters."]

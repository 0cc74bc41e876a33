"""Refuses what config.json describes and no decoder-only language model is: heads, encoders, vision models."""

from __future__ import annotations

from accounting.errors import ModelError
from serving.models.checkpoint_facts import CheckpointFacts

#: Words in the class names of models that generate text.
_GENERATES = ("CausalLM", "LMHead", "ConditionalGeneration", "Chat")

#: Settings of images that a language model's own part does not have.
_OF_IMAGES = ("image_size", "patch_size", "num_channels")

_HINT = "A cost is estimated for models that generate text token by token, decoder only."

#: Settings of layers that mix tokens otherwise than attention does: families with them must be known to be read.
_OF_OTHER_MIXERS = (
    "mamba_d_state", "mamba_d_ssm", "ssm_state_size", "ssm_cfg", "state_size", "lru_width", "conv_L_cache",
    "linear_attn_config", "linear_num_value_heads", "linear_key_head_dim", "hybrid_override_pattern",
    "layers_block_type", "attn_type_list", "kv_lora_rank",
)  # fmt: skip


def refuse_other_models(facts: CheckpointFacts) -> None:
    """Raise ModelError unless config.json may be a language model's.

    Raises:
        ModelError: for a speculative head, an encoder-decoder, a vision model, a classifier or an encoder.
    """
    name = facts.name or "The model"
    said = facts.config.get("architectures")
    if said is not None and not (isinstance(said, list) and all(isinstance(one, str) for one in said)):
        raise ModelError(f"{name}: architectures in config.json must be a list of names, not {said!r}.")
    if facts.is_head:
        raise ModelError(
            f"{name} is a speculative head and no language model of its own.",
            hint="Name the model that it drafts for; the head belongs under speculation.",
        )
    if facts.value("is_encoder_decoder") is True:
        raise ModelError(f"{name} is an encoder-decoder model, which is not read.", hint=_HINT)
    images = [key for key in _OF_IMAGES if facts.value(key) is not None]
    if images and facts.value("vocab_size") is None:
        raise ModelError(
            f"{name} is a vision model: its config.json has {', '.join(images)} and no vocab_size.",
            hint=_HINT,
        )
    if facts.architectures and all(_writes_nothing(one) for one in facts.architectures):
        raise ModelError(f"{name} generates no text: it is a {', '.join(facts.architectures)}.", hint=_HINT)


def refuse_other_mixers(facts: CheckpointFacts, model_type: str) -> None:
    """Raise ModelError if an unknown family has layers that hold something else than keys and values."""
    found = [key for key in _OF_OTHER_MIXERS if facts.value(key) is not None]
    if found:
        raise ModelError(
            f"{facts.name or 'The model'} is of the family {model_type}, which is not read: its layers keep something"
            f" else than keys and values ({', '.join(found)}).",
            hint="Its cost has to be measured, or its shape stated part by part.",
        )


def _writes_nothing(architecture: str) -> bool:
    """Whether a class is an encoder, a classifier or a body without a head; one of an unusual name passes."""
    if any(word in architecture for word in _GENERATES):
        return False
    return "For" in architecture or architecture.endswith("Model")

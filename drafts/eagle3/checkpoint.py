"""A head read again from its directory, in either layout, with all that vLLM would take from there.

What this head cannot compute is refused: an option that vLLM knows and this model does not would make another head of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from accounting.errors import ModelError
from drafts.eagle3.initial import rope_theta
from drafts.eagle3.model import Eagle3Head, HeadShape
from drafts.eagle3.vocabulary import DraftVocabulary

#: Options of vLLM 0.32's heads that change what is computed and are not modelled here.
_UNKNOWN = (
    "norm_before_fc", "fc_norm", "norm_output", "target_hidden_size", "parallel_drafting", "attention_bias", "rope_scaling",
)  # fmt: skip


_LAYER = (
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
    "mlp.down_proj", "input_layernorm", "hidden_norm", "post_attention_layernorm",
)  # fmt: skip
#: All that this head computes with; a head that brings more is another one.
_TENSORS = {
    "d2t", "t2d", "fc.weight", "norm.weight", "lm_head.weight", *(f"midlayer.{name}.weight" for name in _LAYER),
}  # fmt: skip


class NotModelledError(ModelError):
    """A head that vLLM may serve and that cannot be computed here."""


@dataclass(frozen=True, slots=True)
class ReadHead:
    """A head, what its tokens are in the target's numbers, and the layers that it looks behind (empty: vLLM's default).

    `known`: t2d, whether the head knows each of the target's tokens; None where the file does not say (vLLM ignores it).
    """

    head: Eagle3Head
    vocabulary: DraftVocabulary
    layers: tuple[int, ...]
    known: NDArray[np.bool_] | None = None


def is_head(directory: Path) -> bool:
    """Whether this is an EAGLE-3 head: by its config.json, or by the matrix that joins the target's states."""
    config = _config(directory)
    names = [*config.get("architectures", ()), str(config.get("speculators_model_type", ""))]
    if any("eagle3" in name.lower() for name in names):
        return True
    path = directory / "model.safetensors"
    if not path.is_file():
        return False
    with safe_open(path, framework="pt") as file:
        return any(name.removeprefix("model.") in ("fc.weight", "d2t") for name in file.keys())  # noqa: SIM118


def read_head(directory: Path) -> ReadHead:
    """The head in `directory`, float32.

    Raises:
        ModelError: if tensors are missing or have another shape.
        NotModelledError: if config or tensors ask for what is not computed here.
    """
    config = _config(directory)
    layer = _Layer(config.get("transformer_layer_config") or config)
    speculators = "transformer_layer_config" in config
    inner = config.get("eagle_config") or {}
    unknown = [name for name in _UNKNOWN if config.get(name) or inner.get(name) or getattr(layer, name)]
    unknown += ["num_hidden_layers"] if (layer.num_hidden_layers or 1) > 1 else []
    unknown += ["rope_type"] if (layer.rope_parameters or {}).get("rope_type", "default") != "default" else []
    tensors = {
        name.removeprefix("model.").replace("layers.0.", "midlayer."): tensor
        for name, tensor in load_file(directory / "model.safetensors").items()
    }
    unknown += sorted(name.removesuffix(".weight") for name in tensors if name not in _TENSORS)
    if unknown:
        raise NotModelledError(f"{', '.join(unknown)} of the head in {directory} cannot be computed here.")
    target_ids = _target_ids(tensors, config, layer, directory)
    fc = _tensor(tensors, "fc.weight", directory)
    shape = HeadShape(
        hidden=layer.hidden_size,
        intermediate=layer.intermediate_size,
        heads=layer.num_attention_heads,
        kv_heads=layer.num_key_value_heads,
        head_size=layer.head_dim or layer.hidden_size // layer.num_attention_heads,
        vocabulary=len(target_ids),
        features=fc.shape[1] // layer.hidden_size,
        rms_eps=layer.rms_norm_eps,
        rope_theta=rope_theta(layer),
        # As vLLM takes it where the config does not say.
        norm_before_residual=bool(config.get("norm_before_residual", speculators)),
    )
    head = Eagle3Head(shape)
    state = {name: _tensor(tensors, name, directory, like) for name, like in head.state_dict().items()}
    head.load_state_dict(state)
    layers = config.get("eagle_aux_hidden_state_layer_ids") or (config.get("eagle_config") or {}).get(
        "eagle_aux_hidden_state_layer_ids", ()
    )
    known = tensors["t2d"].bool().numpy() if "t2d" in tensors else None
    # vLLM sorts them (model_executor/models/interfaces.py).
    return ReadHead(head.eval(), DraftVocabulary(target_ids.numpy()), tuple(sorted(set(layers))), known)


def _target_ids(tensors: dict[str, Tensor], config: dict[str, Any], layer: _Layer, directory: Path) -> Tensor:
    """The target's numbers of the head's tokens; a head of the whole vocabulary needs no table."""
    if "d2t" in tensors:
        return torch.arange(len(tensors["d2t"])) + tensors["d2t"]
    if config.get("draft_vocab_size") in (None, layer.vocab_size) and layer.vocab_size:
        return torch.arange(layer.vocab_size)
    raise ModelError(f"{directory} has no d2t: which of the target's tokens the head drafts is not known.")


class _Layer:
    """A config's keys as attributes; None for one that is not there."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config

    def __getattr__(self, name: str) -> Any:
        return self._config.get(name)


def _config(directory: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((directory / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ModelError(f"{directory / 'config.json'} cannot be read: {error}.") from error


def _tensor(tensors: dict[str, Tensor], name: str, directory: Path, like: Tensor | None = None) -> Tensor:
    if name not in tensors:
        raise ModelError(
            f"{directory} has no tensor {name}; vLLM would start all the same, with random numbers in it."
        )
    if like is not None and tensors[name].shape != like.shape:
        raise ModelError(
            f"{directory}: {name} is {tuple(tensors[name].shape)}, {tuple(like.shape)} is needed."
        )
    return tensors[name].float()

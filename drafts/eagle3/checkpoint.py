"""A head read again from its directory, in either layout, with all that vLLM would take from there.

What this head cannot compute is refused: an option that vLLM knows and this model does not would make another head of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from accounting.errors import ModelError
from drafts.eagle3.initial import rope_theta
from drafts.eagle3.model import Eagle3Head, HeadShape
from drafts.eagle3.vocabulary import DraftVocabulary

#: Options of vLLM 0.32's heads that change what is computed and are not modelled here.
_UNKNOWN = ("norm_before_fc", "fc_norm", "norm_output", "target_hidden_size", "parallel_drafting")


@dataclass(frozen=True, slots=True)
class ReadHead:
    """A head, what its tokens are in the target's numbers, and the layers that it looks behind (empty: vLLM's default)."""

    head: Eagle3Head
    vocabulary: DraftVocabulary
    layers: tuple[int, ...]


def is_head(directory: Path) -> bool:
    """Whether config.json is that of an EAGLE-3 head."""
    config = _config(directory)
    names = [*config.get("architectures", ()), str(config.get("speculators_model_type", ""))]
    return any("eagle3" in name.lower() for name in names)


def read_head(directory: Path) -> ReadHead:
    """The head in `directory`, float32.

    Raises:
        ModelError: if tensors are missing, have another shape, or the config asks for what is not modelled.
    """
    config = _config(directory)
    layer = _Layer(config.get("transformer_layer_config") or config)
    speculators = "transformer_layer_config" in config
    if unknown := [name for name in _UNKNOWN if config.get(name)]:
        raise ModelError(f"{directory}: {', '.join(unknown)} of this head are not modelled.")
    tensors = {
        name.removeprefix("model.").replace("layers.0.", "midlayer."): tensor
        for name, tensor in load_file(directory / "model.safetensors").items()
    }
    if "d2t" not in tensors:
        raise ModelError(
            f"{directory} has no d2t: which of the target's tokens the head drafts is not known."
        )
    target_ids = torch.arange(len(tensors["d2t"])) + tensors["d2t"]
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
    return ReadHead(head.eval(), DraftVocabulary(target_ids.numpy()), tuple(layers))


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

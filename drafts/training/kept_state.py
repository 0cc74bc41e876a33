"""A training's state on disk: killed at any moment, it goes on from the last one that was written whole.

Tensors lie in safetensors, everything else in JSON: nothing that is loaded can run code. What is random in a training
follows from its seed and the number of the step, so that no generator's state is kept.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from accounting.errors import MachineError

_TENSORS, _FACTS = "tensors.safetensors", "facts.json"
_MODEL, _OPTIMISER = "model/", "optimiser/"


@dataclass(frozen=True, slots=True)
class KeptState:
    """`facts`: what the loop knows of itself, JSON."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def write_state(directory: Path, model: nn.Module, optimiser: Optimizer, facts: Mapping[str, Any]) -> None:
    """Replace the state in `directory`; at no moment is there none that is whole.

    Raises:
        MachineError: if it cannot be written.
    """
    fresh = directory.with_name(f"{directory.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    tensors = {f"{_MODEL}{name}": tensor.detach().contiguous() for name, tensor in model.named_parameters()}
    for parameter, moments in optimiser.state.items():
        for moment, value in moments.items():
            tensors[f"{_OPTIMISER}{moment}/{names[id(parameter)]}"] = value.detach().contiguous()
    try:
        fresh.mkdir(parents=True)
        save_file(tensors, fresh / _TENSORS)
        (fresh / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        with (fresh / _TENSORS).open("rb") as file:
            os.fsync(file.fileno())
        old = directory.with_name(f"{directory.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if directory.exists():
            directory.rename(old)
        fresh.rename(directory)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise MachineError(f"The training's state cannot be written to {directory}: {error}.") from error


def read_state(directory: Path) -> KeptState | None:
    """The last whole state; None where none was written.

    Raises:
        MachineError: if it cannot be read.
    """
    for place in (directory, directory.with_name(f"{directory.name}.old")):
        if (place / _FACTS).is_file() and (place / _TENSORS).is_file():
            try:
                facts = json.loads((place / _FACTS).read_text(encoding="utf-8"))
                return KeptState(load_file(place / _TENSORS), facts)
            except (OSError, ValueError) as error:
                raise MachineError(
                    f"{place} cannot be read: {error}.", hint="Delete it to begin anew."
                ) from error
    return None


def restore(state: KeptState, model: nn.Module, optimiser: Optimizer) -> None:
    """Put the state into a model and an optimiser made as those were that it was written from."""
    for name, parameter in model.named_parameters():
        parameter.data.copy_(state.tensors[f"{_MODEL}{name}"])
        moments = {
            key.removeprefix(_OPTIMISER).removesuffix(f"/{name}"): tensor
            for key, tensor in state.tensors.items()
            if key.startswith(_OPTIMISER) and key.endswith(f"/{name}")
        }
        if moments:
            # AdamW counts its steps on the CPU, its moments lie beside the parameter.
            optimiser.state[parameter] = {
                moment: value if value.ndim == 0 else value.to(parameter.device)
                for moment, value in moments.items()
            }

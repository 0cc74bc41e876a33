"""Energy counters of GPU boards: NVML's on NVIDIA's, through zeus on AMD's. Only boards that the server may use."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounting.energy import EnergyCounter, MeterKind
from accounting.missing import Measured, measured, not_measured
from workbench.energy_source import EnergySource, Found, unreadable

KIND = MeterKind.GPU_BOARD
#: NVML moves its counter every 20 to 100 ms, by board. What AMD's does is not stated; taken alike.
STEP_S = 0.1
NOT_VISIBLE = "no GPU that this server may use"
MIXED_BOARDS = (
    "CUDA_VISIBLE_DEVICES numbers boards of different models, which CUDA counts fastest first and NVML by "
    "slot: name them by UUID, or set CUDA_DEVICE_ORDER=PCI_BUS_ID"
)
NO_SLICES = "CUDA_VISIBLE_DEVICES names MIG slices, and only whole boards have energy counters"
OTHER_VISIBLE = "zeus counts the boards that kilotoken itself may use, and the server may use others"


@dataclass(frozen=True, slots=True)
class _Board:
    index: int
    name: str
    uuid: str
    handle: Any

    @property
    def meter(self) -> str:
        return f"GPU {self.index} ({self.name})"


def nvml_boards(nvml: Any, environment: Mapping[str, str]) -> Found:
    """NVIDIA's boards that a server with this environment may use; `nvml` is the binding `pynvml`."""
    try:
        nvml.nvmlInit()
        boards = [_board(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        return Found(KIND, [unreadable(KIND, "NVIDIA GPUs", f"NVML says {error}")])
    visible = _visible(boards, environment)
    if isinstance(visible, str):
        return Found(KIND, [unreadable(KIND, "NVIDIA GPUs", visible)])
    return Found(KIND, [_nvml_source(nvml, board) for board in visible], "" if visible else NOT_VISIBLE)


def _board(nvml: Any, index: int) -> _Board:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    return _Board(index, _text(nvml.nvmlDeviceGetName(handle)), _text(nvml.nvmlDeviceGetUUID(handle)), handle)


def _text(said: str | bytes) -> str:
    """Older bindings answer in bytes."""
    return said.decode() if isinstance(said, bytes) else said


def _visible(boards: Sequence[_Board], environment: Mapping[str, str]) -> list[_Board] | str:
    """The boards that CUDA shows, or why that is not known.

    As the CUDA Programming Guide has it: indices or UUIDs, which may be cut short; what follows the first that
    names no board is not visible.
    """
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return list(boards)
    words = [word.strip() for word in listed.split(",")]
    if any(word.startswith("MIG") for word in words):
        return NO_SLICES
    in_slot_order = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or len({b.name for b in boards}) <= 1
    if words[0].isdigit() and not in_slot_order:
        return MIXED_BOARDS
    visible: list[_Board] = []
    for word in words:
        named = [b for b in boards if _names(word, b)]
        if len(named) != 1:
            break
        visible += [b for b in named if b not in visible]
    return visible


def _names(word: str, board: _Board) -> bool:
    if word.isdigit():
        return int(word) == board.index
    return word.startswith("GPU-") and board.uuid.startswith(word)


def _nvml_source(nvml: Any, board: _Board) -> EnergySource:
    def read_joules() -> Measured:
        try:
            millijoules = nvml.nvmlDeviceGetTotalEnergyConsumption(board.handle)
            return measured(millijoules / 1000.0)
        except nvml.NVMLError_NotSupported:
            return not_measured(f"{board.meter} has no energy counter: boards have one from Volta on")
        except nvml.NVMLError as error:
            return not_measured(f"{board.meter}: NVML says {error}")

    return EnergySource(EnergyCounter(board.meter, KIND, STEP_S), read_joules)


def zeus_boards(zeus: Any, environment: Mapping[str, str]) -> Found:
    """AMD's boards; `zeus` is the module `zeus.device.gpu` (0.16), which reads AMD SMI and knows which counters lie."""
    named = ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")
    if any(environment.get(name) != os.environ.get(name) for name in named):
        return Found(KIND, [unreadable(KIND, "AMD GPUs", OTHER_VISIBLE)])
    try:
        gpus = zeus.get_gpus()
        sources = [_zeus_source(zeus, gpus, index) for index in range(len(gpus))]
    except _zeus_errors(zeus) as error:
        return Found(KIND, [unreadable(KIND, "AMD GPUs", f"zeus says {error}")])
    return Found(KIND, sources, "" if sources else NOT_VISIBLE)


def _zeus_errors(zeus: Any) -> tuple[type[Exception], ...]:
    """What reading through zeus may raise: its own, and what comes of answers that AMD SMI gives as "N/A"."""
    return (zeus.ZeusBaseGPUError, OSError, RuntimeError, LookupError, TypeError, ValueError)


def _zeus_source(zeus: Any, gpus: Any, index: int) -> EnergySource:
    meter = f"GPU {index} ({gpus.get_name(index)})"
    if not gpus.supports_get_total_energy_consumption(index):
        return unreadable(KIND, meter, f"{meter}: zeus finds no energy counter that can be trusted")

    def read_joules() -> Measured:
        try:
            millijoules = gpus.get_total_energy_consumption(index)
            return measured(millijoules / 1000.0)
        except _zeus_errors(zeus) as error:
            return not_measured(f"{meter}: zeus says {error}")

    return EnergySource(EnergyCounter(meter, KIND, STEP_S), read_joules)

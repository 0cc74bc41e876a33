"""What clocks a machine's NVIDIA GPUs run at and why not higher, through NVML where its Python binding is installed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from accounting.host_noise import GpuSample

#: NVML's bits of clock event (formerly throttle) reasons.
_REASONS = {
    0x01: "gpu_idle",
    0x02: "applications_clocks_setting",
    0x04: "sw_power_cap",
    0x08: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake",
}


class GpuSampler:
    """Reads every GPU; `reason` says why none is read, and is empty on a machine without an NVIDIA driver."""

    def __init__(self, nvml: Any | None, reason: str = "") -> None:
        """`nvml` is the binding, not yet initialised; None samples nothing."""
        self._nvml, self.reason = nvml, reason
        self._handles: list[Any] = []
        if nvml is None:
            return
        try:
            nvml.nvmlInit()
            self._handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        except nvml.NVMLError as error:
            self.reason = f"GPU clocks are not measured: NVML says {error}"

    def sample(self) -> tuple[GpuSample, ...]:
        """Clocks and reasons now; empty where nothing can be read."""
        nvml = self._nvml
        if nvml is None:
            return ()
        try:
            return tuple(
                GpuSample(i, nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM), self._reasons(handle))
                for i, handle in enumerate(self._handles)
            )
        except nvml.NVMLError as error:
            self.reason = f"GPU clocks are not measured: NVML says {error}"
            return ()

    def _reasons(self, handle: Any) -> tuple[str, ...]:
        bits = self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)  # type: ignore[union-attr]
        return tuple(name for bit, name in _REASONS.items() if bits & bit)


def find_gpu_sampler(proc: Path = Path("/proc")) -> GpuSampler:
    """The sampler that this machine allows."""
    if not (proc / "driver" / "nvidia").exists():
        return GpuSampler(None)
    try:
        return GpuSampler(importlib.import_module("pynvml"))
    except ImportError:
        return GpuSampler(None, "GPU clocks are not measured: pynvml (nvidia-ml-py) is not installed")

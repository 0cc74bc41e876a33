"""Whether a run's GPUs, as its driver named them, are a device of the catalogue: by whole names, never by parts of them."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.catalogue_files import DEVICES, user_file
from workbench.device_catalogue import load_devices
from workbench.nearest_names import spelled


def ran_on(gpus: Iterable[object], device: str) -> bool:
    """Whether all GPUs are of that device; `gpus` as nvidia-smi lists them, name and memory.

    Raises:
        ConfigError: if the user's devices cannot be read.
    """
    row = load_devices(user_file(DEVICES)).lookup(device)
    names = {spelled(name) for name in ((device,) if row is None else row.spellings)}
    names |= {f"nvidia-{name}" for name in names}
    found = [spelled(str(gpu).partition(",")[0]) for gpu in gpus]
    return bool(found) and all(name in names for name in found)

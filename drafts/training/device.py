"""On which device a child process computes: the one that was asked for, else a GPU where there is one."""

from __future__ import annotations

import torch


def device_for(asked: str | None) -> str:
    """A name that torch knows."""
    return asked or ("cuda" if torch.cuda.is_available() else "cpu")

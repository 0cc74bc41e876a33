"""In which number type a training multiplies: bfloat16, but float32 on an x86 processor without AVX-512."""

from __future__ import annotations

import platform

import pytest
import torch

from drafts.training.device import fast_matrices, type_for


@pytest.mark.parametrize(
    ("machine", "capability", "wanted"),
    [
        ("x86_64", "AVX2", torch.float32),
        ("x86_64", "DEFAULT", torch.float32),
        ("x86_64", "AVX512", torch.bfloat16),
        ("aarch64", "DEFAULT", torch.bfloat16),
    ],
)
def test_the_type_follows_the_processor(
    machine: str, capability: str, wanted: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert type_for("cpu") is wanted
    weights = torch.ones(2, 2)
    with fast_matrices("cpu"):
        assert (weights @ weights).dtype is wanted


def test_a_gpu_multiplies_in_bfloat16() -> None:
    assert type_for("cuda") is torch.bfloat16
    assert type_for("cuda:1") is torch.bfloat16

"""What `dtype: auto` becomes on a processor that is slow in 16 bits, and that it is left alone everywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving import number_type
from serving.config import ServerConfig
from serving.models.checkpoint_facts import CheckpointFacts
from serving.number_type import (
    explicit_type,
    is_slow_in_16_bits,
    this_processor_is_slow_in_16_bits,
    type_caution,
    type_for_auto,
)

ZEN_3 = "processor\t: 0\nflags\t\t: fpu sse2 fma avx avx2 vaes\nbugs\t\t: sysret_ss_attrs\n"
ZEN_4 = ZEN_3.replace("avx2", "avx2 avx512f avx512_bf16")
WITH_NE_CONVERT = ZEN_3.replace("avx2", "avx2 avx_vnni avx_ne_convert")
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16\n"
SMALL = CheckpointFacts("small", {"dtype": "bfloat16"}, {"weight": (1000, 1000)})


@pytest.mark.parametrize(
    ("facts", "slow"),
    [(ZEN_3, True), (ZEN_4, False), (WITH_NE_CONVERT, False), (ARM, False), ("", False)],
)
def test_only_x86_without_kernels_for_16_bits_is_slow(facts: str, slow: bool) -> None:
    assert is_slow_in_16_bits(facts) is slow


def test_this_machine_is_asked_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_type, "CPU_FACTS", tmp_path / "cpuinfo")
    assert not this_processor_is_slow_in_16_bits()  # no such file on this system
    assert explicit_type("auto", device="cpu") == "bfloat16"
    (tmp_path / "cpuinfo").write_text(ZEN_3)
    assert this_processor_is_slow_in_16_bits()
    assert explicit_type("auto", device="cpu") == "float32"
    assert explicit_type("auto", device="cuda") == "bfloat16", "the processor beside a GPU computes nothing"
    assert explicit_type("float16", device="cpu") == "float16"


def became(config: dict[str, Any] | None = None, **changed: Any) -> str | None:
    given: dict[str, Any] = {"target": SMALL, "device": "cpu", "slow": True, "memory_bytes": 1e9} | changed
    return type_for_auto(ServerConfig.model_validate(config or {}), given.pop("target"), **given)


def test_auto_becomes_float32_where_that_is_faster_and_fits() -> None:
    assert became() == "float32"
    assert became(memory_bytes=8e6) == "float32"  # 4 MB of weights are half of it
    assert became(memory_bytes=7.9e6) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"slow": False},
        {"device": "cuda"},
        {"target": None},
        {"target": CheckpointFacts("int8", {"quantization_config": {"quant_method": "compressed-tensors"}})},
        {"config": {"model": {"dtype": "bfloat16"}}},
        {"config": {"model": {"quantization": "fp8"}}},
        {"config": {"engine": {"extra_args": ["--dtype=half"]}}},
    ],
)
def test_it_is_left_to_the_engine_elsewhere(changed: dict[str, Any]) -> None:
    assert became(**changed) is None


def caution(declared: str, **changed: Any) -> str | None:
    given: dict[str, Any] = {"device": "cpu", "slow": True, "became": None} | changed
    return type_caution(ServerConfig.model_validate({"model": {"dtype": declared}}), **given)


def test_what_is_slow_or_was_changed_is_said() -> None:
    assert "auto became float32" in str(caution("auto", became="float32"))
    assert "`dtype: float32` or auto is faster for these" in str(caution("bfloat16"))
    assert "quantised or too large" in str(caution("auto"))
    assert caution("float32") is None
    assert caution("bfloat16", slow=False) is None
    assert caution("bfloat16", device="cuda") is None

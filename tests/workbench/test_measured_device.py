"""This machine as a device: what was measured is kept, read again and estimated with; what was not says how to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from accounting.errors import ConfigError, MachineError
from accounting.estimate.weight_bytes import Format
from workbench import measured_device as measured_device_module
from workbench.child_steps import Outcome
from workbench.measured_device import device_file, measure_device, measured_device
from workbench.provenance import hardware

RESULT = {
    "device": "cpu", "threads": 2, "torch": "2.13.0", "bandwidth_bytes_per_s": 20e9,
    "rows_flops_per_s": {"1": 20e9, "8": 100e9, "64": 300e9}, "layer_overhead_s": 0.0001,
}  # fmt: skip
NOW = datetime(2026, 11, 26, tzinfo=UTC)


def said_by(outcome: Outcome) -> Any:
    def run(module: str, arguments: list[str], report: Any) -> Outcome:
        assert module == "drafts.device_rates"
        assert arguments in (["cpu"], ["cuda"], ["cpu", "float32"])
        report("matrix products of 1 rows", 0, 3)
        return outcome

    return run


def test_what_was_measured_is_the_device(tmp_path: Path) -> None:
    stages: list[str] = []
    measure_device(say=stages.append, root=tmp_path, run=said_by(Outcome(result=RESULT)), now=NOW)
    assert stages == ["matrix products of 1 rows (1 of 3)"]
    found = measured_device(tmp_path)
    assert (found.name, found.as_of.isoformat()) == ("this-machine", "2026-11-26")
    assert found.source.startswith("measured here: ")
    assert found.rate(Format.BFLOAT16, 10) == 100e9
    assert found.layer_overhead_s == 0.0001


def test_a_processor_that_is_slow_in_16_bits_is_measured_and_served_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_device_module, "gpu_names", list)
    asked: list[list[str]] = []

    def run(module: str, arguments: list[str], report: Any) -> Outcome:
        asked.append(arguments)
        return Outcome(result=RESULT | {"number_type": arguments[1]})

    measure_device(say=lambda _: None, root=tmp_path, run=run, now=NOW, slow=True)
    assert asked == [["cpu", "float32"]]
    found = measured_device(tmp_path)
    assert found.served_in is Format.FLOAT32
    assert found.rate(Format.FLOAT32, 10) == 100e9


def test_what_was_not_measured_says_how_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not measured yet") as refused:
        measured_device(tmp_path)
    assert "doctor --measure" in refused.value.hint
    device_file(tmp_path).parent.mkdir(parents=True)
    device_file(tmp_path).write_text("{")
    with pytest.raises(MachineError, match="cannot be read"):
        measured_device(tmp_path)


def test_a_failure_is_told_and_nothing_is_kept(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="No module named 'torch'") as failed:
        measure_device(
            say=lambda _: None,
            root=tmp_path,
            run=said_by(Outcome(error="ImportError: No module named 'torch'")),
            now=NOW,
        )
    assert "make setup" in failed.value.hint
    assert not device_file(tmp_path).exists()


def test_a_gpu_has_its_own_memory_and_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = device_file(tmp_path)
    host = hardware()
    with_gpu = {**host, "gpus": ["NVIDIA L4, 23034 MiB"]}
    monkeypatch.setattr(measured_device_module, "hardware", lambda: with_gpu)
    monkeypatch.setattr(measured_device_module, "gpu_names", lambda: with_gpu["gpus"])
    assert device_file(tmp_path) != bare
    assert device_file(tmp_path).stem.endswith("-nvidia-l4")
    result = RESULT | {"device": "cuda", "memory_bytes": 24e9}
    measure_device(say=lambda _: None, root=tmp_path, run=said_by(Outcome(result=result)), now=NOW)
    found = measured_device(tmp_path)
    assert found.memory_bytes == 24e9, "and not the host's"
    assert found.batched_tokens == 8192
    assert not bare.exists()


def test_a_cpu_has_the_machine_s_memory_and_smaller_steps(tmp_path: Path) -> None:
    measure_device(say=lambda _: None, root=tmp_path, run=said_by(Outcome(result=RESULT)), now=NOW)
    found = measured_device(tmp_path)
    assert found.memory_bytes == hardware()["memory_bytes"]
    assert found.batched_tokens == 2048

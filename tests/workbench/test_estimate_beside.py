"""Predicted beside measured: valid, unspeculated cells of the same model on this machine, each at its own load."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from accounting.errors import KilotokenError
from accounting.estimate.device import Device
from accounting.estimate.known_shapes import LLAMA_3_8B
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Load, estimate
from accounting.estimate.weight_bytes import Format
from workbench.estimate_beside import beside_run, measured_beside
from workbench.estimate_document import Asked, estimate_document
from workbench.estimate_table import estimate_table
from workbench.experiment import parse_experiment
from workbench.measured_device import THIS_MACHINE
from workbench.plan import make_plan
from workbench.provenance import hardware
from workbench.run_device import ran_on
from workbench.run_directory import FINISHED, RunDirectory, write_json

TEXT = """
name: measured
server: {model: fake-model, engine: {device: fake}}
arms:
  plain: {}
  ngram: {speculation: {method: ngram, num_speculative_tokens: 3}}
workloads: [chat]
loads: {streams: [4]}
repeats: 1
price: {usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}
"""
HERE = Placement(
    shape=LLAMA_3_8B,
    device=Device(
        name=THIS_MACHINE, memory_bytes=1e12, bandwidth_bytes_per_s=20e9, flops_per_s={Format.BFLOAT16: 300e9},
        source="made up", as_of=date(2026, 1, 1),
    ),
)  # fmt: skip
ASKED = Asked(placed=HERE, load=Load(batch=1, input_tokens=10, output_tokens=10))


def cell(arm: str, **changed: Any) -> dict[str, Any]:
    """100 requests of 300 new and 100 cached tokens, answered with 50 each."""
    return {
        "arm": arm, "workload": "chat", "block": f"r1-{arm}", "streams": 4, "requests": 100, "output_tokens": 5000,
        "prompt_tokens": 40_000, "cached_prompt_tokens": 10_000, "output_tokens_per_s": 5.0,
        "verdict": {"throughput": "valid"},
    } | changed  # fmt: skip


def test_an_arm_left_to_auto_counts_by_what_the_engine_resolved(tmp_path: Path) -> None:
    make_run(tmp_path, [cell("plain")], hardware())
    run = RunDirectory.open(tmp_path / "one")
    attempt = run.next_attempt(next(block for block in run.plan().blocks if block.arm == "plain"))
    attempt.server.mkdir(parents=True, exist_ok=True)
    write_json(attempt.server / "resolved.json", {"model_config.dtype": "torch.float32"})
    attempt.write_status(FINISHED, arm="plain", repeat=1)
    assert measured_beside(tmp_path, "fake-model", ASKED)["cells"] == []
    wide = replace(HERE, weights=Format.FLOAT32, cache_element_bytes=4.0)
    assert len(measured_beside(tmp_path, "fake-model", replace(ASKED, placed=wide))["cells"]) == 1


def make_run(runs: Path, cells: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    plan = make_plan(parse_experiment(TEXT, origin="test"))
    run = RunDirectory.create(runs / "one", TEXT, plan, {"hardware": facts})
    write_json(run.path / "measures.json", {"cells": cells, "pooled": []})


def test_a_cell_is_estimated_at_its_own_streams_and_lengths(tmp_path: Path) -> None:
    cells = [cell("plain"), cell("ngram"), cell("plain", verdict={"throughput": "noisy_host"})]
    make_run(tmp_path, cells, hardware())
    found = measured_beside(tmp_path, "fake-model", ASKED)
    (row,) = found["cells"]
    predicted = estimate(HERE, Load(batch=4, input_tokens=300, output_tokens=50)).tokens_per_s
    assert (row["arm"], row["input_tokens"], row["output_tokens"]) == ("plain", 300, 50)
    assert row["predicted_tokens_per_s"] == pytest.approx(predicted)
    assert row["error"] == pytest.approx(predicted / 5.0 - 1)
    assert found["median_error"] == pytest.approx(abs(row["error"]))
    console = Console(width=150, record=True)
    console.print(estimate_table(estimate_document(ASKED) | {"measured": found}, explain=False))
    assert "Predicted beside measured" in console.export_text()


def test_another_model_or_machine_is_not_the_same(tmp_path: Path) -> None:
    make_run(tmp_path, [cell("plain")], {**hardware(), "cpu": "another one"})
    assert measured_beside(tmp_path, "fake-model", ASKED)["cells"] == []
    other = measured_beside(tmp_path, "other-model", ASKED)
    assert other["cells"] == []
    assert "without speculation on this-machine" in other["reason"]
    assert measured_beside(tmp_path / "nowhere", "fake-model", ASKED)["median_error"] is None


def test_a_run_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    make_run(tmp_path, [cell("plain")], hardware())
    for name, file, content in (
        ("bad-json", "measures.json", "{"),
        ("no-cells", "measures.json", "{}"),
        ("old", "experiment.yaml", "name: old\nnothing: such\n"),
    ):
        shutil.copytree(tmp_path / "one", tmp_path / name)
        (tmp_path / name / file).write_text(content)
    shutil.copytree(tmp_path / "one", tmp_path / "unknown")
    (tmp_path / "unknown" / "provenance.json").unlink()
    found = measured_beside(tmp_path, "fake-model", ASKED)
    assert [row["run"] for row in found["cells"]] == ["one"]
    assert len(found["skipped"]) == 4
    assert all("was left out, as it cannot be read" in words for words in found["skipped"])
    console = Console(width=400, record=True)
    console.print(estimate_table(estimate_document(ASKED) | {"measured": found}, explain=False))
    assert "bad-json was left out" in console.export_text()
    shutil.rmtree(tmp_path / "one")
    assert "old was left out" in measured_beside(tmp_path, "fake-model", ASKED)["reason"]
    with pytest.raises(KilotokenError, match="cannot be read"):
        list(beside_run(RunDirectory.open(tmp_path / "bad-json"), "fake-model", HERE))


def test_arms_in_other_numbers_or_on_more_devices_do_not_stand_beside(tmp_path: Path) -> None:
    arms = """
  float32: {model: {dtype: float32}}
  fp8-kv: {kv_cache: {dtype: fp8}}
  fp8: {model: {quantization: fp8}}
  two: {parallelism: {tensor_parallel_size: 2}}
"""
    names = ["plain", "float32", "fp8-kv", "fp8", "two"]
    text = TEXT.replace("  ngram:", arms.strip("\n") + "\n  ngram:")
    plan = make_plan(parse_experiment(text, origin="test"))
    run = RunDirectory.create(tmp_path / "one", text, plan, {"hardware": hardware()})
    write_json(run.path / "measures.json", {"cells": [cell(name) for name in names], "pooled": []})

    def beside(stored: Format | None = None, **changed: Any) -> list[str]:
        asked = replace(ASKED, placed=replace(HERE, **changed), stored=stored)
        return [row["arm"] for row in measured_beside(tmp_path, "fake-model", asked)["cells"]]

    assert beside() == ["plain"]
    assert beside(weights=Format.FLOAT32, cache_element_bytes=4.0) == ["float32"]
    assert beside(cache_element_bytes=1.0) == ["fp8-kv"]
    assert beside(weights=Format.FP8) == ["fp8"]
    assert beside(tensor=2, device=replace(HERE.device, link_bytes_per_s=1e9)) == ["two"]
    assert beside(weights=Format.INT8) == []
    assert "plain" in beside(stored=Format.INT8, weights=Format.INT8)


@pytest.mark.parametrize(
    ("device", "gpu", "same"),
    [
        ("L4", "NVIDIA L4, 23034 MiB", True),
        ("L4", "NVIDIA L40S, 46068 MiB", False),
        ("A10", "NVIDIA A10G, 23028 MiB", False),
        ("A10", "NVIDIA A100-SXM4-80GB, 81920 MiB", False),
        ("A100-SXM-80GB", "NVIDIA A100-SXM4-80GB, 81920 MiB", True),
        ("A100-SXM-80GB", "NVIDIA A100-SXM4-40GB, 40960 MiB", False),
        ("H100-SXM", "NVIDIA H100 80GB HBM3, 81559 MiB", True),
        ("H100-SXM", "NVIDIA H100 PCIe, 81559 MiB", False),
        ("H100-PCIe", "NVIDIA H100 PCIe, 81559 MiB", True),
    ],
)
def test_a_device_is_known_by_its_whole_name(device: str, gpu: str, same: bool) -> None:
    assert ran_on([gpu], device) is same
    assert ran_on([gpu, gpu], device) is same
    assert not ran_on([], device)
    assert not ran_on([gpu, "NVIDIA Something, 1 MiB"], device)

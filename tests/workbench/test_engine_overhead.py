"""The engine's own time on this machine: the small models' runs are real to the letter of their files, their cells are
simulated.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accounting.errors import ConfigError, MachineError
from accounting.estimate.engine_overhead import EngineOverhead
from accounting.estimate.known_shapes import LLAMA_2_7B
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Load, estimate
from tests.workbench.test_measured_device import NOW, RESULT, said_by
from workbench.child_steps import Outcome
from workbench.engine_overhead import DEEP, SHALLOW, STREAMS, WIDE, SmallModel, measure_engine
from workbench.experiment import load_experiment
from workbench.measured_device import device_file, measure_device, measured_device
from workbench.plan import make_plan
from workbench.provenance import hardware
from workbench.run_directory import RunDirectory, write_json

OVERHEAD = EngineOverhead(step_s=2.0, token_s=0.3, layer_s=0.2, layer_token_s=0.03, matrix_share=0.7)
SMALL = {
    name: SmallModel(
        name, replace(LLAMA_2_7B, layers=(replace(LLAMA_2_7B.layers[0], count=depth),), hidden=hidden)
    )
    for name, depth, hidden in ((SHALLOW, 3, 512), (DEEP, 18, 512), (WIDE, 4, 4096))
}


def small(_directory: Path) -> dict[str, SmallModel]:
    """Names that are not looked up, and shapes that are here."""
    return SMALL


class Engine:
    """Runs the experiments' files on a simulated machine; of the loads of each only the first `valid` were quiet."""

    def __init__(self, root: Path, *, valid: int = len(STREAMS)) -> None:
        self.device, self.valid = OVERHEAD.on(measured_device(root, with_engine=False)), valid

    def run(self, file: Path, directory: Path) -> None:
        experiment = load_experiment(file)
        text = file.read_text(encoding="utf-8")
        run = RunDirectory.create(directory, text, make_plan(experiment), {"hardware": hardware()})
        placed = Placement(shape=SMALL[file.stem].shape, device=self.device)
        answer_tokens = experiment.output.max_tokens
        cells = [
            self.cell(placed, streams, answer_tokens, valid=number < self.valid)
            for number, streams in enumerate(experiment.loads.streams)
        ]
        write_json(run.path / "measures.json", {"cells": cells, "pooled": []})

    def cell(self, placed: Placement, streams: int, answer_tokens: int, *, valid: bool) -> dict[str, Any]:
        load = Load(batch=streams, input_tokens=20, output_tokens=answer_tokens)
        return {
            "arm": "alone", "workload": "story", "block": "b", "streams": streams, "requests": 10,
            "prompt_tokens": 200, "output_tokens": 10 * answer_tokens,
            "output_tokens_per_s": estimate(placed, load).tokens_per_s,
            "verdict": {"throughput": "valid" if valid else "noisy_host"},
        }  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    measure_device(say=lambda _: None, root=tmp_path, run=said_by(Outcome(result=RESULT)), now=NOW)
    return tmp_path


def test_what_the_engine_took_is_the_device_s_from_then_on(root: Path) -> None:
    bare = measured_device(root)
    document = measure_engine(run=Engine(root).run, root=root, prepare=small)
    assert document["engine"]["models"] == [SHALLOW, DEEP, WIDE]
    assert [load["streams"] for load in document["engine"]["loads"]] == list(STREAMS) * 3
    assert {load["model"] for load in document["engine"]["loads"]} == {SHALLOW, DEEP, WIDE}
    device = measured_device(root)
    assert device.step_overhead_s == pytest.approx(OVERHEAD.step_s)
    assert device.token_overhead_s == pytest.approx(OVERHEAD.token_s)
    assert device.layer_overhead_s == pytest.approx(OVERHEAD.layer_s)
    assert device.bandwidth_bytes_per_s == pytest.approx(OVERHEAD.matrix_share * bare.bandwidth_bytes_per_s)
    assert device.layer_token_overhead_s == pytest.approx(OVERHEAD.layer_token_s)
    again = measure_engine(run=Engine(root).run, root=root, prepare=small)
    assert again == document, "an earlier result is no part of a later one"
    measure_device(say=lambda _: None, root=root, run=said_by(Outcome(result=RESULT)), now=NOW)
    assert measured_device(root) == device, "measuring the matrices again keeps it"
    assert measured_device(root, with_engine=False) == bare


def test_a_machine_that_was_not_quiet_changes_nothing(root: Path) -> None:
    before = measured_device(root)
    with pytest.raises(MachineError, match="Of 4 loads 1 gave a valid throughput"):
        measure_engine(run=Engine(root, valid=1).run, root=root, prepare=small)
    assert measured_device(root) == before


def test_loads_that_were_not_valid_are_left_out(root: Path) -> None:
    document = measure_engine(run=Engine(root, valid=3).run, root=root, prepare=small)
    assert len(document["engine"]["loads"]) == 9


def test_the_device_comes_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not measured yet"):
        measure_engine(run=lambda *_: None, root=tmp_path, prepare=small)


def test_an_engine_part_of_an_older_form_counts_as_not_measured(root: Path) -> None:
    before = measured_device(root)
    kept = device_file(root)
    for engine in ({"step_overhead_s": 0.1}, {"overhead": {"step_s": 0.1}}):
        older = json.loads(kept.read_text(encoding="utf-8")) | {"engine": engine}
        kept.write_text(json.dumps(older), encoding="utf-8")
        assert measured_device(root) == before
        again = measure_device(say=lambda _: None, root=root, run=said_by(Outcome(result=RESULT)), now=NOW)
        assert "engine" not in again

"""The engine's own time on this machine: the small model's run is real to the letter of its file, its cells are simulated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accounting.errors import ConfigError, MachineError
from accounting.estimate.known_shapes import LLAMA_2_7B
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Load, estimate
from tests.workbench.test_measured_device import NOW, RESULT, said_by
from workbench.child_steps import Outcome
from workbench.engine_overhead import MODEL, STREAMS, measure_engine
from workbench.experiment import load_experiment
from workbench.measured_device import measure_device, measured_device
from workbench.plan import make_plan
from workbench.provenance import hardware
from workbench.run_directory import RunDirectory, write_json

STEP_S, TOKEN_S = 2.0, 0.3
SHAPE = LLAMA_2_7B  # the small model's name, and a shape that is here


class Engine:
    """Runs the experiment's file on a simulated machine; of its loads only the first `valid` were quiet."""

    def __init__(self, root: Path, *, valid: int = len(STREAMS)) -> None:
        device = replace(measured_device(root), step_overhead_s=STEP_S, token_overhead_s=TOKEN_S)
        self.placed, self.valid = Placement(shape=SHAPE, device=device), valid

    def run(self, file: Path, directory: Path) -> None:
        experiment = load_experiment(file)
        text = file.read_text(encoding="utf-8")
        run = RunDirectory.create(directory, text, make_plan(experiment), {"hardware": hardware()})
        cells = [self.cell(streams, number) for number, streams in enumerate(experiment.loads.streams)]
        write_json(run.path / "measures.json", {"cells": cells, "pooled": []})

    def cell(self, streams: int, number: int) -> dict[str, Any]:
        load = Load(batch=streams, input_tokens=20, output_tokens=180)
        return {
            "arm": "alone", "workload": "story", "block": "b", "streams": streams, "requests": 10,
            "prompt_tokens": 200, "output_tokens": 1800,
            "output_tokens_per_s": estimate(self.placed, load).tokens_per_s,
            "verdict": {"throughput": "valid" if number < self.valid else "noisy_host"},
        }  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    measure_device(say=lambda _: None, root=tmp_path, run=said_by(Outcome(result=RESULT)), now=NOW)
    return tmp_path


def test_what_the_engine_took_is_the_device_s_from_then_on(root: Path) -> None:
    document = measure_engine(run=Engine(root).run, root=root, shape=SHAPE)
    assert document["engine"]["model"] == MODEL
    assert [load["streams"] for load in document["engine"]["loads"]] == list(STREAMS)
    device = measured_device(root)
    assert device.step_overhead_s == pytest.approx(STEP_S)
    assert device.token_overhead_s == pytest.approx(TOKEN_S)
    again = measure_engine(run=Engine(root).run, root=root, shape=SHAPE)
    assert again == document, "an earlier result is no part of a later one"
    measure_device(say=lambda _: None, root=root, run=said_by(Outcome(result=RESULT)), now=NOW)
    assert measured_device(root) == device, "measuring the matrices again keeps it"


def test_a_machine_that_was_not_quiet_changes_nothing(root: Path) -> None:
    with pytest.raises(MachineError, match="Of 4 loads 1 gave a valid throughput"):
        measure_engine(run=Engine(root, valid=1).run, root=root, shape=SHAPE)
    assert measured_device(root).step_overhead_s == 0.0


def test_two_loads_would_fit_anything(root: Path) -> None:
    with pytest.raises(MachineError, match="Of 4 loads 2 gave"):
        measure_engine(run=Engine(root, valid=2).run, root=root, shape=SHAPE)
    assert measure_engine(run=Engine(root, valid=3).run, root=root, shape=SHAPE)["engine"]["loads"]


def test_the_device_comes_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not measured yet"):
        measure_engine(run=lambda *_: None, root=tmp_path, shape=SHAPE)

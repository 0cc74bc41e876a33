"""What the engine takes on this machine beside the device's own work: a small model is served, loaded and fitted.

The run stays beside the device's file, as evidence. Its model is so small that its matrices are nearly nothing, and no user
serves it for its answers: what is estimated later is another model.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accounting.errors import MachineError
from accounting.estimate.engine_overhead import Served, fit_engine_overhead
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Load
from accounting.estimate.shape import ModelShape
from workbench.estimate_beside import beside_run
from workbench.estimate_model import read_model
from workbench.measured_device import device_file, kept_document, measured_device
from workbench.run_directory import RunDirectory, write_json

MODEL = "stories-15m"
#: So few that the workload's prompts last, so far apart that a step's part is told from a sequence's.
STREAMS = (1, 8, 16, 24)
#: Two numbers are fitted: a third load shows whether they describe the engine.
LEAST_LOADS = 3
_EXPERIMENT = f"""\
name: engine-overhead
question: What does the engine take on this machine for each step, and for each sequence in it?
server:
  model: {{name: {MODEL}, max_model_len: 256}}
  batching: {{max_num_seqs: 64}}
  kv_cache: {{enable_prefix_caching: false}}
  engine: {{enforce_eager: true}}
arms:
  alone: {{}}
workloads: [story]
loads: {{streams: {list(STREAMS)}}}
output: {{length: fixed, max_tokens: 180}}
window: {{minimum_s: 25, warm_up_s: 6}}
repeats: 1
price: {{usd_per_hour: 1.0, source: none is asked for, as_of: 2026-11-26}}
"""

#: Runs the experiment of a file into a run directory.
RunExperiment = Callable[[Path, Path], None]


def measure_engine(
    *,
    run: RunExperiment,
    root: Path | None = None,
    shape: ModelShape | None = None,
) -> dict[str, Any]:
    """Serve, load, fit, and keep the result in the device's file; the new document.

    Args:
        run: what runs an experiment.
        root: of the cache; the user's own by default.
        shape: of the small model; read by default.

    Raises:
        ConfigError: if the device was not measured.
        MachineError: if too few loads were valid.
    """
    device = measured_device(root)
    kept = device_file(root)
    directory = kept.with_name(f"{kept.stem}-engine")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    experiment = directory / "engine-overhead.yaml"
    experiment.write_text(_EXPERIMENT, encoding="utf-8")
    run(experiment, directory / "run")
    placed = Placement(shape=shape or read_model(MODEL)[0], device=device)
    rows = list(beside_run(RunDirectory.open(directory / "run"), MODEL, placed))
    if len({row["streams"] for row in rows}) < LEAST_LOADS:
        raise MachineError(
            f"Of {len(STREAMS)} loads {len(rows)} gave a valid throughput: too few to tell the engine's overhead.",
            hint=f"`kilotoken show {directory / 'run'}` says why; nothing else should run meanwhile.",
        )
    found = fit_engine_overhead(placed, [_served(row) for row in rows])
    document = kept_document(kept)
    document["engine"] = {
        "model": MODEL,
        "enforce_eager": True,
        "step_overhead_s": found.step_s,
        "token_overhead_s": found.token_s,
        "loads": [
            {
                "streams": row["streams"],
                "measured_tokens_per_s": row["measured_tokens_per_s"],
                "fitted_error": error,
            }
            for row, error in zip(rows, found.errors, strict=True)
        ],
    }
    write_json(kept, document)
    return document


def _served(row: dict[str, Any]) -> Served:
    load = Load(batch=row["streams"], input_tokens=row["input_tokens"], output_tokens=row["output_tokens"])
    return Served(load, row["measured_tokens_per_s"])

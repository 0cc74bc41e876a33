"""What the engine takes on this machine beside the device's own work: three small models are served, loaded and fitted.

One is so small that its matrices are nearly nothing, the next is the same with its layers several times over, and the third is
wide and shallow: together they tell a layer's part from a step's, and how fast the engine multiplies. No user serves them for
their answers; what is estimated later is another model. Their runs stay beside the device's file, as evidence.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accounting.errors import MachineError
from accounting.estimate.engine_overhead import Served, fit_engine_overhead, fitted_error
from accounting.estimate.placement import Placement, own_cache_element_bytes
from accounting.estimate.serving_estimate import Load
from accounting.estimate.shape import ModelShape
from serving.models.fetch import Report
from workbench.child_steps import run_module
from workbench.estimate_beside import beside_run
from workbench.estimate_model import read_model
from workbench.measured_device import FITTED_STEPS, device_file, kept_document, measured_device
from workbench.models import resolve_model
from workbench.run_directory import RunDirectory, write_json

SHALLOW = "stories-15m"
DEEP = f"{SHALLOW}-deep"
WIDE = "random-wide"
#: How often the deep one has the layers of the other: 36, about as many as models of a few billion parameters have.
TIMES = 6
#: So far apart that a step's part is told from a sequence's.
STREAMS = (1, 8, 16, 24)
#: Four layers as wide as those of a model of a billion parameters: their matrices take most of a step.
_WIDE_SIZES = {
    "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 4, "num_attention_heads": 32,
    "num_key_value_heads": 4, "head_dim": 64, "vocab_size": 32_000, "max_position_embeddings": 2048,
    "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
#: Of each model: a straight line over the streams is fitted to each, and these share their numbers.
LEAST_LOADS = 2
#: Of all together: five numbers are fitted, a sixth load shows whether they describe the engine.
LEAST_IN_ALL = 6
#: Tokens of an answer: the larger models' steps are longer, and a window should hold many answers.
_ANSWER_TOKENS = {SHALLOW: 180, DEEP: 60, WIDE: 60}
_PROMPT_TOKENS = 20
_EXPERIMENT = """\
name: engine-overhead-{name}
question: What does the engine take on this machine for each step, each layer, and each sequence in it?
server:
  model: {{name: {model}, max_model_len: 256}}
  batching: {{max_num_seqs: 64}}
  kv_cache: {{enable_prefix_caching: false}}
  engine: {{enforce_eager: true}}
arms:
  alone: {{}}
workloads: ["synthetic:input={prompt_tokens},output={answer_tokens},prompts=20000,text=words"]   # a fast machine never runs out
loads: {{streams: {streams}}}
output: {{length: fixed, max_tokens: {answer_tokens}}}
window: {{minimum_s: 25, warm_up_s: 6}}
repeats: 1
price: {{usd_per_hour: 1.0, source: none is asked for, as_of: 2026-11-26}}
"""

#: Runs the experiment of a file into a run directory.
RunExperiment = Callable[[Path, Path], None]


@dataclass(frozen=True, slots=True)
class SmallModel:
    """A model to be served: what the experiment's file names it by, and its shape."""

    model: str
    shape: ModelShape


def _quietly(_stage: str, _done: int, _total: int | None) -> None:
    """The packaged model is small; what is served says enough."""


#: Makes the small models ready below a directory, by name.
Prepare = Callable[[Path], Mapping[str, SmallModel]]


def measure_engine(
    *, run: RunExperiment, root: Path | None = None, prepare: Prepare | None = None
) -> dict[str, Any]:
    """Serve, load, fit, and keep the result in the device's file; the new document.

    Args:
        run: what runs an experiment.
        root: of the cache; the user's own by default.
        prepare: what makes the small models; the packaged one and its deeper form by default.

    Raises:
        ConfigError: if the device was not measured.
        MachineError: if too few loads were valid, or the models cannot be made.
        ModelError: if the packaged model cannot be had.
    """
    kept = device_file(root)
    document = {key: value for key, value in kept_document(kept).items() if key != "engine"}
    device = measured_device(root, with_engine=False)
    directory = kept.with_name(f"{kept.stem}-engine")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    models = (prepare or small_models)(directory)
    points: list[tuple[dict[str, Any], Served]] = []
    for name, small in models.items():
        experiment = directory / f"{name}.yaml"
        experiment.write_text(_experiment(name, small), encoding="utf-8")
        run(experiment, directory / name)
        placed = Placement(
            shape=small.shape,
            device=device,
            weights=device.served_in,
            cache_element_bytes=own_cache_element_bytes(device.served_in),
        )
        points += _loads(directory / name, small, placed)
    if len(points) < LEAST_IN_ALL:
        raise _too_few(len(points), len(STREAMS) * len(models), directory)
    overhead = fit_engine_overhead([point for _, point in points])
    document["engine"] = {
        "models": list(models),
        "enforce_eager": True,
        "steps": FITTED_STEPS,
        "overhead": asdict(overhead),
        "loads": [
            {
                "model": row["run"],
                "streams": row["streams"],
                "measured_tokens_per_s": row["measured_tokens_per_s"],
                "fitted_error": fitted_error(overhead, point),
            }
            for row, point in points
        ],
    }
    write_json(kept, document)
    return document


def small_models(directory: Path, report: Report = _quietly) -> dict[str, SmallModel]:
    """The packaged model, and its deeper form and the wide one made in `directory`.

    Raises:
        ModelError: if the one cannot be had.
        MachineError: if the others cannot be made.
    """
    shallow = resolve_model(SHALLOW, base_dir=directory, report=report)
    made = directory / "checkpoint"
    made.mkdir(parents=True, exist_ok=True)
    deep, wide, sizes = made / DEEP, made / WIDE, made / f"{WIDE}.json"
    sizes.write_text(json.dumps(_WIDE_SIZES), encoding="utf-8")
    _made("drafts.deeper_checkpoint", [shallow.served_from, str(TIMES), str(deep)], report)
    _made("drafts.random_checkpoint", [str(sizes), shallow.served_from, str(wide)], report)
    named = {SHALLOW: SHALLOW, DEEP: str(deep), WIDE: str(wide)}
    return {name: SmallModel(model, read_model(model).shape) for name, model in named.items()}


def _made(module: str, arguments: list[str], report: Report) -> None:
    """Make one checkpoint in a child process."""
    outcome = run_module(module, arguments, report)
    if outcome.error:
        raise MachineError(
            f"The small models could not be made: {outcome.error}",
            hint="It takes torch and transformers, which come with the engine, 1 GB of disk and 2 GB of memory.",
        )


def _experiment(name: str, small: SmallModel) -> str:
    return _EXPERIMENT.format(
        name=name,
        model=json.dumps(small.model),
        streams=list(STREAMS),
        prompt_tokens=_PROMPT_TOKENS,
        answer_tokens=_ANSWER_TOKENS[name],
    )


def _loads(run: Path, small: SmallModel, placed: Placement) -> list[tuple[dict[str, Any], Served]]:
    """Each valid load of a run, as it was measured and as it is fitted.

    Raises:
        MachineError: if too few were valid.
    """
    rows = list(beside_run(RunDirectory.open(run), small.model, placed))
    if len({row["streams"] for row in rows}) < LEAST_LOADS:
        raise _too_few(len(rows), len(STREAMS), run)
    return [(row, Served(placed, _load(row), row["measured_tokens_per_s"])) for row in rows]


def _too_few(valid: int, loads: int, run: Path) -> MachineError:
    return MachineError(
        f"Of {loads} loads {valid} gave a valid throughput: too few to tell the engine's overhead.",
        hint=f"`kilotoken show` on the runs in {run} says why; nothing else should run meanwhile.",
    )


def _load(row: dict[str, Any]) -> Load:
    return Load(batch=row["streams"], input_tokens=row["input_tokens"], output_tokens=row["output_tokens"])

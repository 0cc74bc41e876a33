"""This machine as a device of the estimate: measured by `kilotoken doctor --measure`, kept by the machine's fingerprint."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psutil

from accounting.errors import ConfigError, MachineError
from accounting.estimate.device import BATCHED_TOKENS, Device
from accounting.estimate.engine_overhead import EngineOverhead
from accounting.estimate.weight_bytes import Format
from serving.models.cache import cache_root
from serving.number_type import FLOAT32
from workbench.child_steps import Outcome, run_module
from workbench.provenance import gpu_names, hardware, machine_sentence
from workbench.run_directory import write_json

THIS_MACHINE = "this-machine"
FORMAT = "kilotoken-device/1"
#: Over which steps the engine's part was fitted: prompts that go through together share one.
FITTED_STEPS = "prompts together, with the matrices' share"
#: Tokens that vLLM 0.32 puts into one step of a served model on a CPU (max_num_batched_tokens).
_CPU_BATCHED_TOKENS = 2048
_HINT = "`kilotoken doctor --measure` measures it in about a minute; nothing else should run meanwhile."

Say = Callable[[str], None]
RunModule = Callable[..., Outcome]


def device_file(root: Path | None = None) -> Path:
    """Where the measured device of this machine lies: by its processor, and by its GPU, if it has one."""
    facts = hardware()
    gpus = "".join(f"-{gpu.partition(',')[0]}" for gpu in facts["gpus"][:1])
    name = f"{facts['cpu']}-{facts['usable_cpus']}{gpus}".lower()
    safe = "".join(c if c.isalnum() else "-" for c in name).strip("-")
    return (root or cache_root()) / "devices" / f"{safe}.json"


def measure_device(
    *,
    say: Say,
    root: Path | None = None,
    run: RunModule = run_module,
    now: datetime | None = None,
    slow: bool = False,
) -> dict[str, Any]:
    """Measure, keep and return the document. Needs the engine's torch.

    Args:
        say: is told of each stage.
        root: of the cache; the user's own by default.
        run: what runs the child process.
        now: when it is measured.
        slow: whether the processor is slow in 16 bits (`serving.number_type`), so that models are served in float32.

    Raises:
        MachineError: if torch is not here, or it fails.
    """
    device = "cuda" if gpu_names() else "cpu"
    arguments = [device, FLOAT32] if device == "cpu" and slow else [device]  # as it is served there
    outcome = run(
        "drafts.device_rates", arguments, lambda stage, done, total: say(f"{stage} ({done + 1} of {total})")
    )
    if outcome.error:
        raise MachineError(
            f"This machine could not be measured: {outcome.error}",
            hint="It takes torch, which comes with the engine: `make setup ENGINE=cpu` (or gpu).",
        )
    document = {
        "format": FORMAT,
        "machine": machine_sentence(hardware()),
        "measured_at": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
        "memory_bytes": float(psutil.virtual_memory().total),
        **outcome.result,
    }
    path = device_file(root)
    earlier = kept_document(path)
    if kept_overhead(earlier):
        document["engine"] = earlier[
            "engine"
        ]  # it was not measured again, and is the engine's, not the memory's
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, document)
    return document


def kept_document(path: Path) -> dict[str, Any]:
    """What was kept of an earlier measurement; empty without one that can be read."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def kept_overhead(document: dict[str, Any]) -> dict[str, float]:
    """The engine's fitted part of a device's document; empty where it was not measured, or fitted over other steps than the
    estimate now counts.
    """
    engine = document.get("engine") or {}
    return dict(engine.get("overhead") or {}) if engine.get("steps") == FITTED_STEPS else {}


def measured_device(root: Path | None = None, *, with_engine: bool = True) -> Device:
    """This machine as it was measured, with what the engine takes on it unless only the device's own part is asked for.

    Raises:
        ConfigError: if it was not.
        MachineError: if the file cannot be read.
    """
    path = device_file(root)
    if not path.is_file():
        raise ConfigError(f"{THIS_MACHINE} was not measured yet.", hint=_HINT)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return device_of(document if with_engine else document | {"engine": None})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MachineError(f"{path} cannot be read: {error!r}.", hint=_HINT) from error


def device_of(document: dict[str, Any]) -> Device:
    """The document of a measurement as a device; its rates are by rows, so that no share of a peak has to be guessed."""
    rates = {int(rows): float(rate) for rows, rate in document["rows_flops_per_s"].items()}
    overhead = kept_overhead(document)
    served_in = Format(document.get("number_type", Format.BFLOAT16))
    device = Device(
        name=THIS_MACHINE,
        memory_bytes=document["memory_bytes"],
        bandwidth_bytes_per_s=document["bandwidth_bytes_per_s"],
        # The one that is needed of every device is the other's too: nobody is told to serve in 16 bits where they are slow.
        flops_per_s=dict.fromkeys((Format.BFLOAT16, served_in), max(rates.values())),
        source=f"measured here: {document['machine']}",
        as_of=date.fromisoformat(document["measured_at"][:10]),
        layer_overhead_s=document["layer_overhead_s"],
        rows_flops_per_s=rates,
        served_in=served_in,
        batched_tokens=BATCHED_TOKENS if document.get("device") == "cuda" else _CPU_BATCHED_TOKENS,
    )
    return EngineOverhead(**overhead).on(device) if overhead else device

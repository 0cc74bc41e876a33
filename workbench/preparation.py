"""What must hold before a server is started: the engine is here, the models are here, the engine would obey.

Minutes are spent on loading; a mistake that the two config.json files already show must not cost them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from accounting.errors import KilotokenError, MachineError
from serving.command import declared_value
from serving.config import ServerConfig
from serving.engine_build import EngineBuild, installed_engine, require_engine
from serving.legality import Circumstances, refuse_illegal
from serving.models.checkpoint_facts import CheckpointFacts, read_checkpoint_facts
from serving.number_type import (
    cpu_facts,
    cpu_flags,
    this_processor_is_slow_in_16_bits,
    type_caution,
    type_for_auto,
)
from serving.speculation import ModelDraft, NoSpeculation
from serving.unrecognised import engine_source, unrecognised
from serving.vllm_names import KNOWN, NEWEST, names_for, version_warning
from workbench.models import ResolvedModel, model_on_disk, resolve_model
from workbench.provenance import gpu_names

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that a start needs and the config only names."""

    engine: EngineBuild
    target: ResolvedModel
    draft: ResolvedModel | None
    auto_dtype: str | None
    """What `model.dtype: auto` becomes here; None leaves it to the engine."""
    caution: str | None
    """What a user must know of the number type on this processor."""


def prepare(config: ServerConfig, *, base_dir: Path, report: Report) -> Prepared:
    """Fetch what is missing and refuse what cannot run as declared.

    Raises:
        MachineError: without a fitting engine.
        ModelError: if a model cannot be had.
        ConfigError: with every reason why the configuration is not one that the engine runs as declared.
    """
    engine = require_engine(config.engine.device, installed_engine())
    _refuse_older_engine(config, engine)
    # First what needs no model: a wrong setting must not wait for a download.
    refuse_illegal(config, _circumstances(engine.device))

    def progress(stage: str, done: int, total: int | None) -> None:
        share = f" {done / total:.0%}" if total else ""
        report(f"model: {stage}{share}")

    target = resolve_model(config.model.name, base_dir=base_dir, report=progress)
    name = draft_name(config)
    draft = resolve_model(name, base_dir=base_dir, report=progress, tokenizer_needed=False) if name else None
    here = ((target, config.model.name), (draft, name))
    facts = [_facts(Path(model.served_from), said or "") if model else None for model, said in here]
    refuse_illegal(config, _circumstances(engine.device, *facts))
    slow, memory_bytes = this_processor_is_slow_in_16_bits(), psutil.virtual_memory().total
    became = type_for_auto(config, facts[0], device=engine.device, slow=slow, memory_bytes=memory_bytes)
    caution = type_caution(config, device=engine.device, slow=slow, became=became)
    return Prepared(engine, target, draft, became, caution)


def _refuse_older_engine(config: ServerConfig, engine: EngineBuild) -> None:
    """A version nobody tested may lack flags that this configuration needs: its own source tells.

    Raises:
        MachineError: naming the flags.
    """
    source = engine_source()
    if source is None or not version_warning(engine.version):
        return
    names = names_for(engine.version)
    told = {option.flag for option in names.options if declared_value(config, option.field) is not None}
    if not isinstance(config.speculation, NoSpeculation):
        told.add(names.speculative_flag)
    lacking = [flag for flag in unrecognised(names, source).flags if flag in told]
    if lacking:
        raise MachineError(
            f"{engine.distribution} {engine.version} does not know {', '.join(lacking)}, which this configuration "
            f"needs; kilotoken is tested with {', '.join(KNOWN)}.",
            hint=f"Install vLLM {NEWEST.version}, or leave these settings out.",
        )


def check_without_starting(config: ServerConfig, *, base_dir: Path, origin: str) -> None:
    """Refuse what can be refused from what is here already; nothing is fetched.

    Raises:
        ConfigError: with every reason.
        ModelError: if a name means no model.
    """
    engine = installed_engine()
    device: str = config.engine.device
    if device == "auto":
        device = engine.device if engine else "auto"
    if device not in ("cpu", "cuda"):
        return
    names = (config.model.name, draft_name(config))
    facts = [_facts_if_here(name, base_dir) if name else None for name in names]
    refuse_illegal(config, _circumstances(device, *facts), origin=origin)


def draft_name(config: ServerConfig) -> str | None:
    """The text that names the draft or head, None where there is none of its own."""
    return config.speculation.model if isinstance(config.speculation, ModelDraft) else None


def _circumstances(
    device: str, target: CheckpointFacts | None = None, draft: CheckpointFacts | None = None
) -> Circumstances:
    return Circumstances(
        device=device,
        devices=len(gpu_names()) if device == "cuda" else 1,
        numa_nodes=max(1, len(list(Path("/sys/devices/system/node").glob("node[0-9]*")))),
        has_package=lambda name: importlib.util.find_spec(name) is not None,
        target=target,
        draft=draft,
        instructions=frozenset(cpu_flags(cpu_facts())),
    )


def _facts(directory: Path, name: str) -> CheckpointFacts | None:
    return read_checkpoint_facts(directory, name=name) if (directory / "config.json").is_file() else None


def _facts_if_here(name: str, base_dir: Path) -> CheckpointFacts | None:
    directory = model_on_disk(name, base_dir=base_dir)
    return _facts(directory, name) if directory else None


def prepare_arms(configs: dict[str, ServerConfig], *, base_dir: Path, report: Report) -> list[str]:
    """Prepare every arm before the first one starts: the last arm's mistake must not show after an hour.

    Returns what must be known of them, once each.
    """
    cautions: dict[str, None] = {}
    for name, config in configs.items():
        if config.engine.device == "fake":
            continue
        try:
            prepared = prepare(config, base_dir=base_dir, report=partial(_labelled, report, name))
        except KilotokenError as error:
            error.message = f"arm {name}: {error.message}"
            raise
        if prepared.caution:
            cautions[prepared.caution] = None
    return list(cautions)


def _labelled(report: Report, arm: str, text: str) -> None:
    report(f"{arm}: {text}")

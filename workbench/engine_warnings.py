"""What a reader must know of the engines of a run: settings that became others, versions nobody tested."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from accounting.errors import RunError
from serving.config import ServerConfig
from serving.declared import departures
from serving.legality import cautions
from serving.vllm_names import names_for, version_warning
from workbench.experiment import Experiment
from workbench.run_directory import RunDirectory


@dataclass(frozen=True, slots=True)
class EngineWarning:
    """One warning, and of which arms it is true."""

    arms: tuple[str, ...]
    text: str

    @property
    def sentence(self) -> str:
        """With the arms' names."""
        return f"{', '.join(self.arms)}: {self.text}"


def engine_warnings(run: RunDirectory, experiment: Experiment) -> list[EngineWarning]:
    """From the first finished block of each arm: what its engine resolved against what was declared."""
    found: dict[str, list[str]] = {}
    configs = experiment.arm_configs(origin=str(run.path))
    for arm, config in configs.items():
        command = server_file(run, arm, "command.json")
        if not command or (isinstance(config, ServerConfig) and config.engine.device == "fake"):
            continue
        version = command.get("version")
        texts: list[str | None] = []
        if version or isinstance(config, ServerConfig):
            texts.append(version_warning(version))
        if isinstance(config, ServerConfig):
            resolved = server_file(run, arm, "resolved.json")
            texts += [d.sentence for d in departures(config, resolved, names_for(version))]
            device = str(resolved.get("device_config.device", ""))
            facts = run.read_json("provenance.json").get("hardware", {})
            slow = bool(facts.get("slow_in_16_bits"))
            texts += cautions(config, device, slow=slow, auto_dtype=_told_type(config, command))
        for text in filter(None, texts):
            found.setdefault(text, []).append(arm)
    return [EngineWarning(tuple(arms), text) for text, arms in found.items()]


def _told_type(config: ServerConfig, command: dict[str, Any]) -> str | None:
    """The number type that a server was told though the config leaves it open; None where it was left open."""
    argv = list(command.get("argv") or ())
    told = argv[argv.index("--dtype") + 1] if "--dtype" in argv[:-1] else None
    return told if config.model.dtype == "auto" != told else None


def server_file(run: RunDirectory, arm: str, name: str) -> dict[str, Any]:
    """A file that the first finished block of an arm left about its server; empty without such a block.

    Raises:
        RunError: if it cannot be read.
    """
    plan = run.plan()
    # A search comes first: an arm without a capacity has blocks in which no server ran.
    for block in (*plan.searches, *plan.blocks):
        attempt = run.finished(block) if block.arm == arm else None
        if attempt is not None:
            try:
                facts: dict[str, Any] = json.loads((attempt.server / name).read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise RunError(f"{attempt.server / name} cannot be read: {error}") from error
            return facts
    return {}

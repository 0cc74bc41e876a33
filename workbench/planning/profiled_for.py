"""What a profile holds for: this machine, this engine, these models, prompts and settings; and where it is kept by that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drafts.manifest import fingerprint
from loadtest.workloads import load_workload
from serving.config import DEFAULT_MODEL
from serving.engine_build import installed_engine
from serving.models.cache import cache_root
from workbench.models import ResolvedModel, resolve_model
from workbench.planning.profile_arms import WORKLOAD_SEED, absolute_workloads
from workbench.planning.profile_file import Profile
from workbench.provenance import hardware
from workbench.status_line import steps

Document = dict[str, Any]
Say = Callable[[str], None]
#: Of the machine, what decides how fast it is. A kernel's version changes with every reboot of a host and seldom the speed.
_MACHINE = ("cpu", "usable_cpus", "memory_bytes", "gpus", "slow_in_16_bits")


def profiled_for(profile: Profile, *, base_dir: Path, say: Say) -> Document:
    """Plain values: equal where a profile may be used again.

    Raises:
        ConfigError: if a workload cannot be used.
        ModelError: if a model cannot be had.
    """
    drafts = {name: section["model"] for name, section in profile.drafters.items() if "model" in section}
    return {
        "machine": machine_here(),
        "engine": engine_here(),
        "target": _resolved(target_of(profile), base_dir, tokenizer=True, say=say),
        "drafts": {name: _resolved(said, base_dir, tokenizer=False, say=say) for name, said in drafts.items()},
        "workloads": [
            load_workload(name, seed=WORKLOAD_SEED).source for name in absolute_workloads(profile, base_dir)
        ],
        "profile": profile.model_dump(mode="json"),
    }  # fmt: skip


def target_of(profile: Profile) -> str:
    """The target as the profile names it."""
    model = profile.server.get("model", DEFAULT_MODEL)
    return str(model if isinstance(model, str) else model.get("name", DEFAULT_MODEL))


def machine_here() -> Document:
    """This machine, by what decides how fast it is."""
    facts = hardware()
    return {name: facts[name] for name in _MACHINE}


def engine_here() -> str | None:
    """The installed engine and its version."""
    engine = installed_engine()
    return None if engine is None else f"{engine.distribution} {engine.version}"


def _resolved(said: str, base_dir: Path, *, tokenizer: bool, say: Say) -> Document:
    return model_identity(
        resolve_model(said, base_dir=base_dir, report=steps(say), tokenizer_needed=tokenizer)
    )


def model_identity(model: ResolvedModel) -> Document:
    """A model by its name and its files.

    Raises:
        ModelError: if a file cannot be read.
    """
    return {"name": model.name, "sha256": fingerprint(Path(model.served_from))}


def profile_directory(asked: Document, root: Path | None = None) -> Path:
    """Where a profile is kept."""
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return (root or cache_root()) / "profiles" / digest[:16]

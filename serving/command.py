"""Config -> argv and environment of the server: a pure function with golden tests.

The names of vLLM's flags come from `vllm_names.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.config import ServerConfig
from serving.speculation import CustomClassSpeculation, ModelDraft, NoSpeculation
from serving.vllm_names import NEWEST, EngineNames, Kind, Option

#: `python -m` entry point. The CPU wheel's `vllm` console script does not run (no package metadata).
SERVER_MODULE = "vllm.entrypoints.openai.api_server"

#: KV cache on CPU when the config says nothing: vLLM would otherwise take a share of all memory.
DEFAULT_CPU_KV_CACHE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """What is executed: `argv` and the environment variables set on top of the caller's."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Placement:
    """Facts of the machine and the start that the config does not decide.

    `model_path` and `draft_path` are the directories that the names resolved to; `preloads` are
    shared libraries to load first; `dev_mode` opens the reset endpoints (benchmark servers only); `module` and
    `environment` name another server that takes the same command line (the fake one); `python_path` is what
    the server's PYTHONPATH becomes, None to leave it; `names` are those of the engine's version; `auto_dtype` is what
    `model.dtype: auto` becomes, None to leave it to the engine.
    """

    python: str
    device: str  # "cpu" or "cuda"
    host: str
    port: int
    model_path: str
    served_model_name: str
    draft_path: str | None = None
    preloads: tuple[str, ...] = ()
    dev_mode: bool = True
    module: str = SERVER_MODULE
    environment: Mapping[str, str] = field(default_factory=dict)
    python_path: str | None = None
    names: EngineNames = NEWEST
    auto_dtype: str | None = None


def build_command(config: ServerConfig, placement: Placement) -> ServerCommand:
    """The command line and environment for this config on this machine."""
    argv = [
        placement.python,
        *("-m", placement.module),
        *("--host", placement.host),
        *("--port", str(placement.port)),
        *(placement.names.model_flag, placement.model_path),
        *("--served-model-name", placement.served_model_name),
        *_speculation_flags(config, placement),
        *_option_flags(config, placement),
        *config.engine.extra_args,
    ]
    return ServerCommand(tuple(argv), _environment(config, placement))


#: Fields of a speculation section that the engine is not told.
OURS_ALONE = {"python_path", "unchecked"}


def speculative_config(config: ServerConfig, placement: Placement) -> dict[str, Any] | None:
    """vLLM's `--speculative-config` as a mapping, None without speculation."""
    speculation = config.speculation
    if isinstance(speculation, NoSpeculation):
        return None
    settings = speculation.model_dump(exclude_none=True, exclude=OURS_ALONE)
    if isinstance(speculation, ModelDraft) and speculation.model is not None:
        settings["model"] = placement.draft_path or speculation.model
    return settings


def _speculation_flags(config: ServerConfig, placement: Placement) -> list[str]:
    settings = speculative_config(config, placement)
    if not settings:
        return []
    return [placement.names.speculative_flag, json.dumps(settings, sort_keys=True)]


def _option_flags(config: ServerConfig, placement: Placement) -> list[str]:
    flags = []
    for option in placement.names.options:
        if option.field != "model.served_model_name":
            flags += _flag(option, _told(config, option.field, placement))
    return flags


def declared_value(config: ServerConfig, dotted: str) -> Any:
    """What a config field says; None leaves the engine's default."""
    section, name = dotted.split(".")
    return getattr(getattr(config, section), name)


def _told(config: ServerConfig, dotted: str, placement: Placement) -> Any:
    """What the server is told: the declared value, a number type that this machine computes fast, and a KV cache on CPU
    that does not take all memory.
    """
    value = declared_value(config, dotted)
    if dotted == "model.dtype" and value == "auto":
        return placement.auto_dtype or value
    if dotted == "kv_cache.kv_cache_memory_bytes" and value is None and placement.device == "cpu":
        shared = config.kv_cache.gpu_memory_utilization is not None
        return None if shared else DEFAULT_CPU_KV_CACHE_BYTES
    return value


def _flag(option: Option, value: Any) -> list[str]:
    """One flag; vLLM's booleans are `--name` and `--no-name`, and nothing leaves the engine's default."""
    if value is None:
        return []
    match option.kind:
        case Kind.VALUE:
            return [option.flag, f"{value:g}" if isinstance(value, float) else str(value)]
        case Kind.SWITCH:
            return [option.flag if value else f"--no-{option.flag.removeprefix('--')}"]
        case Kind.PRESENT:
            return [option.flag] if value else []
        case Kind.JSON:
            return [option.flag, json.dumps(value, sort_keys=True)]


def _environment(config: ServerConfig, placement: Placement) -> dict[str, str]:
    environment = {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",  # every model is on disk before the start
        # arctic-inference brings a plugin for another vLLM that ends the server where a user has enabled it.
        "ARCTIC_INFERENCE_ENABLED": "0",
        # Importing vLLM without cached bytecode takes twice as long, in each of its three processes.
        "PYTHONDONTWRITEBYTECODE": "",
    }
    if placement.dev_mode:
        environment["VLLM_SERVER_DEV_MODE"] = "1"
    if isinstance(config.speculation, CustomClassSpeculation) and placement.python_path:
        environment["PYTHONPATH"] = placement.python_path
    if config.engine.preload and placement.preloads:
        environment["LD_PRELOAD"] = ":".join(placement.preloads)
    return {**environment, **placement.environment, **config.engine.environment}

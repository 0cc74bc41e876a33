"""Config -> argv and environment of the server: a pure function with golden tests.

The names of vLLM's flags live here and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.config import (
    DraftModelSpeculation,
    NgramSpeculation,
    NoSpeculation,
    ServerConfig,
)

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

    `model_path` and `draft_path` are what the names resolved to (a directory or a hub id); `preloads` are
    shared libraries to load first; `dev_mode` opens the reset endpoints (benchmark servers only); `module` and
    `environment` name another server that takes the same command line (the fake one).
    """

    python: str
    device: str  # "cpu" or "cuda"
    host: str
    port: int
    model_path: str
    served_model_name: str
    draft_path: str | None = None
    model_revision: str | None = None  # of a hub id
    draft_revision: str | None = None
    model_is_local: bool = True
    preloads: tuple[str, ...] = ()
    dev_mode: bool = True
    module: str = SERVER_MODULE
    environment: Mapping[str, str] = field(default_factory=dict)


def build_command(config: ServerConfig, placement: Placement) -> ServerCommand:
    """The command line and environment for this config on this machine."""
    argv = [
        placement.python,
        *("-m", placement.module),
        *("--host", placement.host),
        *("--port", str(placement.port)),
        *("--model", placement.model_path),
        *("--served-model-name", placement.served_model_name),
        *(["--revision", placement.model_revision] if placement.model_revision else []),
        *_model_flags(config),
        *_speculation_flags(config, placement),
        *_policy_flags(config, placement),
        *config.engine.extra_args,
    ]
    return ServerCommand(tuple(argv), _environment(config, placement))


def _model_flags(config: ServerConfig) -> list[str]:
    model = config.model
    flags = ["--dtype", model.dtype]
    # A hub model's own generation_config may set penalties and a temperature: keep them out of a measurement.
    flags += ["--generation-config", "vllm"]
    flags += _valued("--max-model-len", model.max_model_len)
    flags += ["--trust-remote-code"] if model.trust_remote_code else []
    return flags


def speculative_config(config: ServerConfig, placement: Placement) -> dict[str, Any] | None:
    """vLLM's `--speculative-config` as a mapping, None without speculation."""
    speculation = config.speculation
    match speculation:
        case NoSpeculation():
            return None
        case NgramSpeculation():
            return speculation.model_dump()
        case DraftModelSpeculation():
            settings = {**speculation.model_dump(), "model": placement.draft_path or speculation.model}
            return settings | ({"revision": placement.draft_revision} if placement.draft_revision else {})


def _speculation_flags(config: ServerConfig, placement: Placement) -> list[str]:
    settings = speculative_config(config, placement)
    return ["--speculative-config", json.dumps(settings, sort_keys=True)] if settings else []


def _policy_flags(config: ServerConfig, placement: Placement) -> list[str]:
    batching, kv_cache, engine = config.batching, config.kv_cache, config.engine
    kv_bytes = kv_cache.kv_cache_memory_bytes
    if kv_bytes is None and placement.device == "cpu":
        kv_bytes = DEFAULT_CPU_KV_CACHE_BYTES
    return [
        *_valued("--max-num-seqs", batching.max_num_seqs),
        *_valued("--max-num-batched-tokens", batching.max_num_batched_tokens),
        *_switch("enable-prefix-caching", kv_cache.enable_prefix_caching),
        *_valued("--block-size", kv_cache.block_size),
        *_valued("--kv-cache-memory-bytes", kv_bytes),
        *_switch("enforce-eager", engine.enforce_eager),
    ]


def _valued(flag: str, value: int | None) -> list[str]:
    return [] if value is None else [flag, str(value)]


def _switch(name: str, value: bool | None) -> list[str]:
    """vLLM's booleans: `--name` and `--no-name`; nothing leaves the engine's default."""
    if value is None:
        return []
    return [f"--{name}" if value else f"--no-{name}"]


def _environment(config: ServerConfig, placement: Placement) -> dict[str, str]:
    environment = {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
        # Importing vLLM without cached bytecode takes twice as long, in each of its three processes.
        "PYTHONDONTWRITEBYTECODE": "",
    }
    if placement.dev_mode:
        environment["VLLM_SERVER_DEV_MODE"] = "1"
    if placement.model_is_local:
        environment["HF_HUB_OFFLINE"] = "1"
    if config.engine.preload and placement.preloads:
        environment["LD_PRELOAD"] = ":".join(placement.preloads)
    return {**environment, **placement.environment, **config.engine.environment}

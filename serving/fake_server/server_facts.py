"""What the server says about itself: its models and the settings it runs with."""

from __future__ import annotations

from serving.fake_server.config import FakeServerConfig

Json = dict[str, object]


def models(config: FakeServerConfig, created: int) -> Json:
    """The body of /v1/models; `created` is seconds since the epoch."""
    card: Json = {
        "id": config.model,
        "object": "model",
        "created": created,
        "owned_by": "vllm",
        "root": config.model,
        "parent": None,
        "max_model_len": config.max_model_len,
        "permission": [],
    }
    return {"object": "list", "data": [card]}


def server_info(config: FakeServerConfig, *, as_json: bool) -> Json:
    """The body of /server_info; without `config_format=json` vLLM gives the settings as one text."""
    settings = _settings(config)
    return {"vllm_config": settings if as_json else str(settings), "vllm_env": {}, "system_env": {}}


def _settings(config: FakeServerConfig) -> Json:
    speculation: Json | None = None
    if config.draft_tokens:
        speculation = {
            "method": config.speculative_method,
            "model": config.speculative_method,
            "num_speculative_tokens": config.draft_tokens,
        }
    return {
        "model_config": {
            "model": config.model,
            "served_model_name": config.model,
            "max_model_len": config.max_model_len,
            "seed": config.seed,
        },
        "cache_config": {
            "block_size": config.block_size,
            "cache_dtype": "auto",
            "enable_prefix_caching": True,
            "num_gpu_blocks": config.kv_cache_tokens // config.block_size,
            "kv_cache_size_tokens": config.kv_cache_tokens,
        },
        "scheduler_config": {
            "max_num_seqs": config.timing.max_concurrency,
            "max_num_batched_tokens": 2048,
            "enable_chunked_prefill": True,
            "policy": "fcfs",
            "async_scheduling": False,
        },
        "speculative_config": speculation,
    }

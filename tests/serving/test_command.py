import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from serving.command import Placement, build_command
from serving.config import ServerConfig

CPU = Placement(
    python="/venv/bin/python",
    device="cpu",
    host="127.0.0.1",
    port=8000,
    model_path="/models/target",
    served_model_name="target",
    draft_path="/models/draft",
    preloads=("/venv/lib/libiomp5.so", "/lib/libtcmalloc_minimal.so.4"),
)
CUDA = Placement(
    python="/venv/bin/python",
    device="cuda",
    host="127.0.0.1",
    port=8000,
    model_path="/hub/models--org--target/snapshots/abc123",
    served_model_name="target",
    draft_path="/models/draft",
    dev_mode=False,
)
CASES: dict[str, tuple[dict[str, Any], Placement]] = {
    "defaults on cpu": ({}, CPU),
    "defaults on cuda, serving": ({}, CUDA),
    "ngram": (
        {"speculation": {"method": "ngram", "num_speculative_tokens": 6}, "engine": {"enforce_eager": True}},
        CPU,
    ),
    "draft model": (
        {"speculation": {"method": "draft_model", "model": "stories-15m", "num_speculative_tokens": 4}},
        CPU,
    ),
    "a share of memory leaves the size to the engine": (
        {"kv_cache": {"gpu_memory_utilization": 0.5}},
        CPU,
    ),
    "cuda: offload, connector, copies": (
        {
            "model": {"name": "org/target", "quantization": "fp8", "generation_config": "auto"},
            "kv_cache": {
                "gpu_memory_utilization": 0.9,
                "kv_offloading_size": 4.0,
                "kv_transfer_config": {"kv_connector": "OffloadingConnector", "kv_role": "kv_both"},
            },
            "parallelism": {"data_parallel_size": 2, "enable_expert_parallel": True},
        },
        CUDA,
    ),
    "auto on a processor that is slow in 16 bits": ({}, replace(CPU, auto_dtype="float32")),
    "a declared type stays": ({"model": {"dtype": "bfloat16"}}, replace(CPU, auto_dtype="float32")),
    "suffix": ({"speculation": {"method": "suffix", "suffix_decoding_max_cached_requests": 0}}, CPU),
    "schedule by batch size": (
        {
            "speculation": {
                "method": "ngram",
                "num_speculative_tokens": 6,
                "num_speculative_tokens_per_batch_size": [[1, 6, 6], [7, 256, 0]],
            }
        },
        CPU,
    ),
    "heterogeneous draft": (
        {
            "speculation": {
                "method": "draft_model",
                "model": "stories-15m",
                "num_speculative_tokens": 2,
                "use_heterogeneous_vocab": True,
            }
        },
        CPU,
    ),
    "eagle3": (
        {"speculation": {"method": "eagle3", "model": "./head", "num_speculative_tokens": 3}},
        CPU,
    ),
    "mtp from the target itself": (
        {"speculation": {"method": "mtp", "num_speculative_tokens": 1}},
        replace(CUDA, draft_path=None),
    ),
    "custom class": (
        {
            "speculation": {
                "method": "custom_class",
                "model": "mine.Proposer",
                "python_path": "./proposers",
                "num_speculative_tokens": 4,
            }
        },
        replace(CPU, python_path="/home/me/proposers"),
    ),
    "every policy": (
        {
            "model": {"name": "target", "dtype": "float32", "max_model_len": 2048, "trust_remote_code": True},
            "batching": {
                "max_num_seqs": 16,
                "max_num_batched_tokens": 1024,
                "enable_chunked_prefill": True,
                "long_prefill_token_threshold": 512,
                "scheduling_policy": "priority",
                "async_scheduling": False,
            },
            "kv_cache": {
                "enable_prefix_caching": False,
                "block_size": 32,
                "dtype": "fp8",
                "kv_cache_memory_bytes": 2147483648,
                "cpu_offload_gb": 1.5,
            },
            "parallelism": {"tensor_parallel_size": 2, "distributed_executor_backend": "mp"},
            "engine": {
                "enforce_eager": False,
                "preload": False,
                "environment": {"VLLM_LOGGING_LEVEL": "DEBUG"},
                "extra_args": ["--per-request-spec-decode-metrics", "summary"],
            },
        },
        CPU,
    ),
}


def built(case: str) -> dict[str, Any]:
    config, placement = CASES[case]
    command = build_command(ServerConfig.model_validate(config), placement)
    return {"argv": list(command.argv), "environment": dict(command.environment)}


@pytest.mark.goldens
def test_the_command_lines_are_the_golden_ones(golden: Callable[[str, Any], None]) -> None:
    golden("serving/golden/commands.json", {case: built(case) for case in CASES})


def test_a_benchmark_server_listens_on_loopback_and_opens_the_reset_endpoints() -> None:
    benchmark, serving = built("ngram"), built("defaults on cuda, serving")
    assert benchmark["argv"][benchmark["argv"].index("--host") + 1] == "127.0.0.1"
    assert benchmark["environment"]["VLLM_SERVER_DEV_MODE"] == "1"
    assert "VLLM_SERVER_DEV_MODE" not in serving["environment"]


def test_a_draft_model_is_passed_by_its_resolved_path() -> None:
    argv = built("draft model")["argv"]
    settings = json.loads(argv[argv.index("--speculative-config") + 1])
    assert settings == {"method": "draft_model", "model": "/models/draft", "num_speculative_tokens": 4}

"""Every policy that a CPU engine has, declared at once: each reaches the engine and is read back as declared.

An 8-bit KV cache is left out on a processor that has no kernel for it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serving.config import ServerConfig
from serving.declared import departures
from serving.legality.policy_rules import FP8_KV_INSTRUCTIONS
from serving.number_type import cpu_facts, cpu_flags
from serving.vllm_names import NEWEST
from workbench.server_under_test import ServerUnderTest

CONFIG: dict[str, Any] = {
    "model": {
        "name": "smollm2-135m-instruct",
        "dtype": "bfloat16",
        "max_model_len": 1024,
        "generation_config": "vllm",
    },
    "batching": {
        "max_num_seqs": 4,
        "max_num_batched_tokens": 256,
        "enable_chunked_prefill": True,
        "long_prefill_token_threshold": 128,
        "scheduling_policy": "priority",
        "async_scheduling": False,
    },
    "kv_cache": {
        "enable_prefix_caching": False,
        "block_size": 32,
        "dtype": "fp8" if FP8_KV_INSTRUCTIONS & cpu_flags(cpu_facts()) else "auto",
        "kv_cache_memory_bytes": 64 << 20,
    },
    "parallelism": {
        "tensor_parallel_size": 1,
        "pipeline_parallel_size": 1,
        "data_parallel_size": 1,
        "distributed_executor_backend": "mp",
    },
}


@pytest.fixture(scope="module")
def server(start_server: Any) -> Iterator[ServerUnderTest]:
    with start_server(CONFIG) as started:
        yield started


def test_nothing_became_something_else(server: ServerUnderTest) -> None:
    config = ServerConfig.model_validate(CONFIG | {"engine": {"enforce_eager": True}})
    read_back = [option for option in NEWEST.options if option.resolved in server.resolved]
    assert len(read_back) == len([option for option in NEWEST.options if option.resolved])
    assert departures(config, server.resolved, NEWEST) == []


def test_a_cell_under_all_of_them_reconciles(
    server: ServerUnderTest, measured_cell: Callable[..., dict[str, Any]]
) -> None:
    cell = measured_cell(server, workload="chat", streams=6, window_s=5.0)
    assert cell["reconciled"], cell["reason"]
    assert cell["failed"] == 0
    assert cell["prefix_cache_hit_share"] is None, "the prefix cache is off: it is not even asked"

import json
from pathlib import Path
from typing import Any

from serving.config import ServerConfig
from serving.declared import departures
from serving.resolved import flatten_server_info
from serving.vllm_names import NEWEST

GOLDEN = Path(__file__).parent / "golden" / "server_info_vllm_0_32_ngram.json"


def found(config: dict[str, Any], **changed: Any) -> dict[str, tuple[Any, Any]]:
    """Departures of a config from the captured server, whose settings may be changed."""
    resolved = flatten_server_info(json.loads(GOLDEN.read_text())) | changed
    base = {"kv_cache": {"kv_cache_memory_bytes": 2147483648}, "model": {"generation_config": "auto"}}
    rows = departures(ServerConfig.model_validate(base | config), resolved, NEWEST)
    return {row.field: (row.declared, row.resolved) for row in rows}


AS_CAPTURED = {
    "speculation": {
        "method": "ngram",
        "num_speculative_tokens": 6,
        "prompt_lookup_min": 2,
        "prompt_lookup_max": 4,
    },
    "batching": {"max_num_seqs": 64, "max_num_batched_tokens": 2048, "async_scheduling": False},
    "model": {"dtype": "bfloat16", "max_model_len": 2048, "generation_config": "auto"},
}


def test_a_real_server_that_did_as_it_was_told_shows_no_departure() -> None:
    assert found(AS_CAPTURED) == {}


def test_what_the_engine_turned_off_by_itself_is_found() -> None:
    assert found({"batching": {"async_scheduling": True}}) == {"batching.async_scheduling": (True, False)}
    assert found({"kv_cache": {"kv_cache_memory_bytes": 1 << 30}}) == {
        "kv_cache.kv_cache_memory_bytes": (1 << 30, 1 << 31)
    }


def test_a_schedule_that_was_dropped_and_a_k_that_was_cut_are_found() -> None:
    speculation = AS_CAPTURED["speculation"] | {
        "num_speculative_tokens_per_batch_size": [[1, 4, 6], [5, 64, 0]]
    }
    assert found(AS_CAPTURED | {"speculation": speculation}) == {
        "speculation.num_speculative_tokens_per_batch_size": ([[1, 4, 6], [5, 64, 0]], None)
    }
    cut = {"speculative_config.num_speculative_tokens": 3}
    assert found(AS_CAPTURED, **cut) == {"speculation.num_speculative_tokens": (6, 3)}


def test_nothing_read_back_is_no_departure() -> None:
    assert departures(ServerConfig(), {}, NEWEST) == []


def test_every_resolved_key_of_the_table_exists_in_what_a_real_server_says() -> None:
    """A misspelt key would never find a departure."""
    resolved = flatten_server_info(json.loads(GOLDEN.read_text()))
    assert [o.resolved for o in NEWEST.options if o.resolved and o.resolved not in resolved] == []

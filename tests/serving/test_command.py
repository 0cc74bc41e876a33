import json
from pathlib import Path
from typing import Any

import pytest

from serving.command import Placement, build_command
from serving.config import ServerConfig

GOLDEN = Path(__file__).parent / "golden" / "commands.json"

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
    model_path="org/target",
    served_model_name="target",
    model_revision="abc123",
    model_is_local=False,
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
    "every policy": (
        {
            "model": {"name": "target", "dtype": "float32", "max_model_len": 2048, "trust_remote_code": True},
            "batching": {"max_num_seqs": 16, "max_num_batched_tokens": 1024},
            "kv_cache": {
                "enable_prefix_caching": False,
                "block_size": 32,
                "kv_cache_memory_bytes": 2147483648,
            },
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


def test_goldens_cover_exactly_these_cases() -> None:
    if not GOLDEN.exists():
        GOLDEN.write_text(json.dumps({case: built(case) for case in CASES}, indent=2) + "\n")
        pytest.fail("the goldens were written anew: look at them, then run again")
    assert set(json.loads(GOLDEN.read_text())) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_the_command_line_is_the_golden_one(case: str) -> None:
    """Delete tests/serving/golden/commands.json to write the goldens anew."""
    assert built(case) == json.loads(GOLDEN.read_text())[case]


def test_a_benchmark_server_listens_on_loopback_and_opens_the_reset_endpoints() -> None:
    benchmark, serving = built("ngram"), built("defaults on cuda, serving")
    assert benchmark["argv"][benchmark["argv"].index("--host") + 1] == "127.0.0.1"
    assert benchmark["environment"]["VLLM_SERVER_DEV_MODE"] == "1"
    assert "VLLM_SERVER_DEV_MODE" not in serving["environment"]


def test_a_draft_model_is_passed_by_its_resolved_path() -> None:
    argv = built("draft model")["argv"]
    settings = json.loads(argv[argv.index("--speculative-config") + 1])
    assert settings == {"method": "draft_model", "model": "/models/draft", "num_speculative_tokens": 4}

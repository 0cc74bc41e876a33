"""`make goldens` starts these two servers and keeps what they say: names that vLLM owns, from the source itself."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.config import ServerConfig
from workbench.server_under_test import ServerUnderTest

GOLDEN = Path(__file__).parents[1] / "serving" / "golden"
NGRAM = {"method": "ngram", "num_speculative_tokens": 6, "prompt_lookup_min": 2, "prompt_lookup_max": 4}
SPECULATION: dict[str, dict[str, Any]] = {"off": {"method": "off"}, "ngram": NGRAM}

pytestmark = [
    pytest.mark.goldens,
    pytest.mark.skipif(
        os.environ.get("KILOTOKEN_WRITE_GOLDENS") != "1", reason="writes files: only `make goldens` runs it"
    ),
]


@pytest.mark.parametrize("name", SPECULATION)
def test_what_a_real_server_says_is_kept(
    name: str, start_server: Any, chat: Callable[..., dict[str, Any]]
) -> None:
    config = {
        "model": {"name": "smollm2-135m-instruct", "served_model_name": "smol", "max_model_len": 2048},
        "batching": {"max_num_seqs": 64},
        "kv_cache": {"kv_cache_memory_bytes": 2 << 30},
        "speculation": SPECULATION[name],
    }
    ServerConfig.model_validate(config)
    with start_server(config) as server, server.endpoints() as endpoints:
        assert isinstance(server, ServerUnderTest)
        chat(
            server, "Say this again: one two three one two three one two three.", 24
        )  # labelled counters appear
        info, page, version = endpoints.server_info(), endpoints.metrics_page().text, server.version
        assert server.command is not None
        model = server.command.argv[server.command.argv.index("--model") + 1]
    assert info is not None
    assert version is not None
    stem = f"vllm_{'_'.join(version.split('.')[:2])}"
    plain = json.dumps({"vllm_config": info["vllm_config"]}, indent=1).replace(model, "/models/target")
    (GOLDEN / f"server_info_{stem}_{name}.json").write_text(plain + "\n")
    if name == "ngram":
        (GOLDEN / f"metrics_{stem}_{name}.prom").write_text(page)

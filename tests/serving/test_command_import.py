import json
import shlex
from typing import Any

import pytest

from accounting.errors import ConfigError
from serving.command import Placement, build_command
from serving.command_import import import_command
from serving.config import ServerConfig
from serving.vllm_names import NEWEST

LINE = (
    "VLLM_LOGGING_LEVEL=DEBUG vllm serve org/name --port 9000 --dtype=bfloat16 -tp 2 --max_num_seqs 64 "
    "--max-model-len 4k --no-enable-prefix-caching --enable-lora --lora-modules a=/x b=/y --enforce-eager "
    '--api-key secret --speculative-config \'{"method": "ngram", "num_speculative_tokens": 6}\''
)


def test_every_flag_finds_its_field_and_the_rest_is_passed_on() -> None:
    imported = import_command(LINE, NEWEST)
    assert imported.sections == {
        "engine": {
            "environment": {"VLLM_LOGGING_LEVEL": "DEBUG"},
            "extra_args": ["--enable-lora", "--lora-modules", "a=/x", "b=/y"],
            "enforce_eager": True,
        },
        "model": {"name": "org/name", "dtype": "bfloat16", "max_model_len": 4000},
        "parallelism": {"tensor_parallel_size": 2},
        "batching": {"max_num_seqs": 64},
        "kv_cache": {"enable_prefix_caching": False},
        "speculation": {"method": "ngram", "num_speculative_tokens": 6},
    }
    assert len(imported.left_out) == 2
    assert "secret" not in json.dumps(imported.sections) + " ".join(imported.left_out)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("vllm bench serve-something --model x", "not a vLLM serving command"),
        ("python train.py --model x", "not a vLLM serving command"),
        ("vllm serve --dtype auto", "names no model"),
        ("vllm serve x --dtype", "--dtype takes one value"),
        ("vllm serve x --dtype a b", "--dtype takes one value"),
        ("vllm serve x --speculative-config '{method: ngram}'", "--speculative-config is not JSON"),
        ("vllm serve x --speculative-config [1]", "an object is expected"),
        ("vllm serve 'x", "as a shell would"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        import_command(line, NEWEST)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"speculation": {"method": "suffix"}, "batching": {"async_scheduling": False}},
        {"kv_cache": {"gpu_memory_utilization": 0.9, "dtype": "fp8"}, "model": {"trust_remote_code": True}},
        {
            "parallelism": {"data_parallel_size": 2},
            "kv_cache": {"kv_transfer_config": {"kv_role": "kv_both"}},
        },
    ],
)
def test_what_was_built_is_read_back_as_it_was(config: dict[str, Any]) -> None:
    """The same table writes and reads; a cuda placement adds nothing of its own."""
    declared = ServerConfig.model_validate(config)
    placement = Placement(
        python="python", device="cuda", host="h", port=1, model_path=declared.model.name,
        served_model_name="s", dev_mode=False,
    )  # fmt: skip
    line = shlex.join(build_command(declared, placement).argv)
    again = ServerConfig.model_validate(import_command(line, NEWEST).sections)
    assert again.model_dump(exclude={"model": {"served_model_name"}}) == declared.model_dump(
        exclude={"model": {"served_model_name"}}
    )

import pytest
import yaml

from accounting.errors import ConfigError
from workbench.imported_config import imported_yaml


def test_a_line_becomes_a_file_that_says_the_same_in_the_order_of_the_sections() -> None:
    text, left_out = imported_yaml("vllm serve org/x --max-num-seqs 4 --enforce-eager -tp 2 --api-key s3cret")
    assert yaml.safe_load(text) == {
        "model": {"name": "org/x"},
        "batching": {"max_num_seqs": 4},
        "parallelism": {"tensor_parallel_size": 2},
        "engine": {"enforce_eager": True},
    }
    assert list(yaml.safe_load(text)) == ["model", "batching", "parallelism", "engine"]
    assert len(left_out) == 1
    assert "s3cret" not in text + left_out[0]


def test_a_value_no_configuration_takes_is_refused_by_its_key() -> None:
    with pytest.raises(ConfigError, match=r"batching\.max_num_seqs"):
        imported_yaml("vllm serve x --max-num-seqs many")

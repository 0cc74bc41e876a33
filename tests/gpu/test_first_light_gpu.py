"""The same cell path on a CUDA device. Skipped where there is none."""

from collections.abc import Callable
from typing import Any

import pytest

from serving.engine_build import cuda_device_present, installed_engine

engine = installed_engine()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not cuda_device_present(), reason="no NVIDIA device on this machine"),
    pytest.mark.skipif(
        engine is None or engine.device != "cuda", reason="no CUDA build of vLLM is installed"
    ),
]


@pytest.mark.parametrize("speculation", [{"method": "off"}, {"method": "ngram", "num_speculative_tokens": 6}])
def test_a_cell_reconciles_on_a_gpu(
    speculation: dict[str, Any], start_server: Any, measured_cell: Callable[..., dict[str, Any]]
) -> None:
    config = {"model": {"name": "smollm2-135m-instruct", "max_model_len": 2048}, "speculation": speculation}
    with start_server(config) as server:
        cell = measured_cell(server, workload="copy", streams=8)
    assert cell["reconciled"], cell["reason"]
    assert (cell["acceptance_length"]["value"] is None) == (speculation["method"] == "off")

"""The oracle in a live vLLM: told what the target says, it has accepted what it was told to have accepted, and its steps are measured.

Two server lives: the target alone, which is asked, and the target with the oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import serving.oracle
from serving.config import ServerConfig
from serving.oracle.oracle_proposer import ACCEPTANCE, ANSWERS
from workbench.experiment import Experiment
from workbench.planning.known_answers import ask_known_answers, wanted_answers
from workbench.planning.measured_steps import MeasuredStep, measured_step

TARGET = {"name": "smollm2-135m-instruct", "max_model_len": 1024}
K, TOLD = 3, 0.5
#: 1 + the sum of 0.5 to the power i, i = 1..3.
EXPECTED = 1.875
ASKED = {
    "name": "live", "arms": {"only": {}}, "workloads": ["chat"], "loads": {"streams": [2]}, "output": {"max_tokens": 40},
    "window": {"minimum_s": 15.0}, "repeats": 1,
    "price": {"usd_per_hour": 1.0, "source": "declared for a test", "as_of": "2026-11-22"},
}  # fmt: skip


@pytest.fixture(scope="module")
def cell(
    start_server: Any, measured_cell: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    answers = tmp_path_factory.mktemp("oracle") / "answers.jsonl"
    wanted = wanted_answers(Experiment.model_validate(ASKED))
    with start_server({"model": TARGET}) as server:
        ask_known_answers(server, wanted, max_tokens=40, beyond=K, out=answers, say=lambda _text: None)
    environment = {ANSWERS: str(answers), ACCEPTANCE: str(TOLD)}
    speculation = {
        "method": "custom_class",
        "model": "oracle_proposer.OracleProposer",
        "python_path": str(Path(serving.oracle.__file__).parent),
        "num_speculative_tokens": K,
    }
    engine = {"enforce_eager": True, "environment": environment}
    with start_server({"model": TARGET, "speculation": speculation, "engine": engine}) as server:
        return measured_cell(server, workload="chat", streams=2, window_s=15.0)


def test_what_is_accepted_is_what_the_oracle_was_told(cell: dict[str, Any]) -> None:
    assert cell["reconciled"], cell["reason"]
    assert cell["failed"] == 0
    assert cell["acceptance_length"]["value"] == pytest.approx(EXPECTED, abs=0.25)
    first, second, third = cell["acceptance_by_position"]
    assert first > second > third > 0
    # It knows every prompt that the window drew, or nearly.
    assert cell["drafts"] > 0.9 * cell["decode_steps"]


def test_its_steps_can_be_fitted_to(cell: dict[str, Any]) -> None:
    config = ServerConfig.model_validate(
        {"speculation": {"method": "custom_class", "model": "a.B", "num_speculative_tokens": K}}
    )
    step = measured_step(cell | {"verdict": {"throughput": "valid"}}, config, "oracle")
    assert isinstance(step, MeasuredStep), step
    # Two streams: a step has both, but for those that read a prompt.
    assert 1.5 < step.work.sequences <= 2.0
    assert step.work.drafted == pytest.approx(K * step.work.sequences, rel=0.1)
    assert 0.001 < step.seconds < 5.0
    tokens = step.work.sequences * cell["tokens_per_step"]["value"]
    assert tokens < cell["output_tokens_per_s"] * step.seconds < 1.15 * tokens

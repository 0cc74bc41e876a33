import json
from pathlib import Path
from typing import Any

import pytest

from workbench.engine_warnings import engine_warnings
from workbench.experiment import parse_experiment
from workbench.plan import make_plan
from workbench.run_directory import FINISHED, RunDirectory

EXPERIMENT = """
name: warned
server: {batching: {max_num_seqs: 8, async_scheduling: true}}
arms:
  plain: {}
  running: {url: "http://127.0.0.1:8000"}
workloads: [chat]
loads: {streams: [1]}
repeats: 1
price: {usd_per_hour: 1.0, source: declared for a test, as_of: 2026-11-22}
"""


@pytest.fixture
def warned(tmp_path: Path) -> Any:
    """Warnings of a run whose two servers left these files."""

    def warn(
        version: str | None,
        resolved: dict[str, Any],
        *,
        argv: tuple[str, ...] = (),
        slow: bool = False,
    ) -> list[str]:
        experiment = parse_experiment(EXPERIMENT, origin="test")
        plan = make_plan(experiment)
        provenance = {"hardware": {"slow_in_16_bits": slow}}
        run = RunDirectory.create(tmp_path / str(version), EXPERIMENT, plan, provenance)
        for block in plan.blocks:
            attempt = run.next_attempt(block)
            attempt.server.mkdir(parents=True, exist_ok=True)
            (attempt.server / "command.json").write_text(json.dumps({"version": version, "argv": argv}))
            (attempt.server / "resolved.json").write_text(json.dumps(resolved))
            attempt.write_status(FINISHED, arm=block.arm, repeat=1)
        return [warning.sentence for warning in engine_warnings(run, experiment)]

    return warn


def test_a_setting_that_became_another_is_told_of_the_arm_that_declared_it(warned: Any) -> None:
    resolved = {"scheduler_config.max_num_seqs": 8, "scheduler_config.async_scheduling": False}
    assert warned("0.32.0", resolved) == [
        "plain: batching.async_scheduling was declared as True and the engine runs with False"
    ]


def test_a_version_nobody_tested_is_told_of_every_arm(warned: Any) -> None:
    found = warned("0.44.1", {"scheduler_config.max_num_seqs": 8, "scheduler_config.async_scheduling": True})
    assert len(found) == 1
    assert found[0].startswith("plain, running: vLLM 0.44.1 is not a version that kilotoken was tested with")


def test_a_server_of_another_make_is_not_asked_for_a_vllm_version(warned: Any) -> None:
    """The launched arm must say its version; the attached one need not be vLLM."""
    found = warned(None, {})
    assert [text.split(":")[0] for text in found] == ["plain"]


def test_a_number_type_that_was_chosen_for_the_processor_is_told(warned: Any) -> None:
    resolved = {
        "scheduler_config.max_num_seqs": 8, "scheduler_config.async_scheduling": True, "device_config.device": "cpu",
    }  # fmt: skip
    (found,) = warned("0.32.0", resolved, argv=("--dtype", "float32"), slow=True)
    assert found.startswith("plain: model.dtype auto became float32: this processor has no AVX-512")

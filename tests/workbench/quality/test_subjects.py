from pathlib import Path

import pytest

from accounting.errors import ConfigError
from workbench.quality.subjects import subjects_of

EXPERIMENT = """
name: numerics
server: {model: fake-model, engine: {device: fake}}
arms:
  ngram: {speculation: {method: ngram, num_speculative_tokens: 3}}
  plain: {}
  low: {model: {dtype: bfloat16}}
  low-again: {model: {dtype: bfloat16}, batching: {max_num_seqs: 4}}
  fp8: {kv_cache: {dtype: fp8}}
baseline: plain
workloads: [chat]
loads: {streams: [1]}
price: {usd_per_hour: 1, source: declared for a test, as_of: 2026-11-22}
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.yaml"
    path.write_text(EXPERIMENT)
    return path


def test_each_numerics_of_an_experiment_is_measured_once_the_baseline_first(experiment: Path) -> None:
    assert [subject.label for subject in subjects_of(experiment, None)] == ["plain", "low", "fp8"]


def test_one_arm_can_be_named(experiment: Path) -> None:
    (subject,) = subjects_of(experiment, "low-again")
    assert subject.label == "low-again"
    with pytest.raises(ConfigError, match="no arm 'high'; arms: ngram, plain"):
        subjects_of(experiment, "high")


def test_a_server_configuration_is_one_subject_and_has_no_arms(tmp_path: Path) -> None:
    path = tmp_path / "server.yaml"
    path.write_text("model: fake-model\nengine: {device: fake}\n")
    (subject,) = subjects_of(path, None)
    assert subject.label == "server"
    with pytest.raises(ConfigError, match="no arms"):
        subjects_of(path, "plain")

"""Where the estimate finds a model: of a hub repository config.json alone, and the number format that a checkpoint has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accounting.errors import ModelError
from accounting.estimate.weight_bytes import Format
from serving.models.checkpoint_facts import CheckpointFacts
from serving.models.hub_cache import find_snapshot, hub_cache_root
from serving.models.stored_format import stored_format
from tests.workbench import test_models_hub
from tests.workbench.test_estimate_command import LLAMA_3_8B, estimated, refused
from tests.workbench.test_models_hub import OLD, FakeHub
from workbench import estimate_model
from workbench.estimate_model import read_model

hub = test_models_hub.hub
ON = ("--device", "H100-SXM")


def compressed(*weights: dict[str, Any]) -> dict[str, Any]:
    groups = {f"group_{number}": {"weights": one} for number, one in enumerate(weights)}
    return {"quant_method": "compressed-tensors", "config_groups": groups}


INT8, INT4, FP8 = (
    {"type": "int", "num_bits": 8},
    {"type": "int", "num_bits": 4},
    {"type": "float", "num_bits": 8},
)


@pytest.fixture
def of_hub(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    hub.files["config.json"] = json.dumps(LLAMA_3_8B).encode()
    monkeypatch.setenv("KILOTOKEN_CACHE", str(tmp_path / "kilotoken"))
    return hub


def test_of_a_hub_repository_only_the_config_is_fetched(of_hub: FakeHub) -> None:
    assert estimated("org/name", *ON)["model"]["parameters"] == 8_030_261_248
    assert len(of_hub.downloads("config.json")) == 1
    assert of_hub.downloads("model.safetensors") == []
    assert find_snapshot(hub_cache_root(), "org/name", None) is None, "nothing looks like half a download"
    assert read_model(f"org/name@{OLD}").shape.depth == 32


def test_what_is_here_of_a_snapshot_serves_though_it_is_not_whole(of_hub: FakeHub) -> None:
    base = hub_cache_root() / "models--org--name"
    (base / "snapshots" / OLD).mkdir(parents=True)
    (base / "snapshots" / OLD / "config.json").write_text(json.dumps(LLAMA_3_8B | {"num_hidden_layers": 2}))
    assert read_model(f"org/name@{OLD}").shape.depth == 2
    assert of_hub.requests == []


def test_a_repository_that_gives_no_config_says_why(of_hub: FakeHub) -> None:
    of_hub.gated_for.add("")
    assert "gated" in refused("org/name", *ON)
    assert "There is no repository org/other" in refused("org/other", *ON)


def test_a_packaged_model_that_is_not_here_is_made_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KILOTOKEN_CACHE", str(tmp_path / "empty"))
    made = tmp_path / "made"
    made.mkdir()
    (made / "config.json").write_text(json.dumps(LLAMA_3_8B))

    class Resolved:
        served_from = str(made)

    monkeypatch.setattr(estimate_model, "resolve_model", lambda *_, **__: Resolved)
    found = read_model("stories-15m")
    assert "stories-15m was not here yet: it is fetched and converted whole" in found.notes[0]
    assert "stories-15m was not here yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, None),
        ({"quant_method": "fp8"}, Format.FP8),
        ({"quant_method": "gptq", "bits": 4}, Format.INT4),
        ({"quant_method": "awq", "bits": 8}, Format.INT8),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, Format.INT4),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, Format.FP8),
        (compressed(INT8), Format.INT8),
        (compressed(INT4), Format.INT4),
        (compressed(FP8, FP8), Format.FP8),
    ],
)
def test_the_format_of_a_quantised_checkpoint(said: Any, expected: Format | None) -> None:
    assert stored_format(CheckpointFacts("mine", {"quantization_config": said})) == (expected, "")


@pytest.mark.parametrize(
    "said",
    [
        {"quant_method": "mxfp4"},
        compressed(INT4, FP8),
        compressed(),
        {"quant_method": "gptq", "bits": 3},
        [4],
        {},
    ],
)
def test_a_format_that_is_not_known_is_said(said: Any) -> None:
    found, words = stored_format(CheckpointFacts("mine", {"quantization_config": said}))
    assert found is None
    assert "taken as bfloat16, which is more than they are" in words


def test_a_quantised_checkpoint_is_estimated_as_it_is_stored(tmp_path: Path) -> None:
    plain, int4 = tmp_path / "plain", tmp_path / "int4"
    for directory, more in ((plain, {}), (int4, {"quantization_config": compressed(INT4)})):
        directory.mkdir()
        (directory / "config.json").write_text(json.dumps(LLAMA_3_8B | more))
    stored = estimated(int4, *ON)
    assert stored["memory"]["weights"] == "int4"
    assert (
        stored["memory"]["weight_bytes"] == estimated(plain, *ON, "--dtype", "int4")["memory"]["weight_bytes"]
    )
    assert any("weights are taken in int4, as the checkpoint stores them" in note for note in stored["notes"])
    assert estimated(int4, *ON, "--dtype", "bfloat16")["memory"]["weights"] == "bfloat16"
    assert estimated(plain, *ON)["memory"]["weights"] == "bfloat16"
    drafted = estimated(plain, *ON, "--speculation", f"acceptance=0.5,draft={int4}")
    assert drafted["memory"]["draft_weight_bytes_per_device"] == stored["memory"]["weight_bytes"]
    with pytest.raises(ModelError, match="holds no config"):
        read_model(str(tmp_path))

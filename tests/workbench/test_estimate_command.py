"""`kilotoken estimate`: the answer of a known model on a known device, its reasons, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workbench.cli import app

#: Llama-3-8B as its config.json has it.
LLAMA_3_8B = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14_336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128_256,
    "tie_word_embeddings": False, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5,
}  # fmt: skip


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    directory = tmp_path / "llama-3-8b"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(LLAMA_3_8B))
    return directory


def estimated(*arguments: object) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["estimate", *map(str, arguments), "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def refused(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["estimate", *map(str, arguments)])
    assert done.exit_code != 0, done.output
    return str(done.exception)


def test_what_the_model_needs_and_what_follows(llama: Path) -> None:
    found = estimated(llama, "--device", "H100-SXM", "--batch", 8, "--usd-per-hour", 3.6)
    assert found["model"]["parameters"] == 8_030_261_248
    assert found["memory"]["cache_bytes_per_token"] == 131_072
    assert found["memory"]["weight_bytes"] == pytest.approx(2 * 8_030_261_248)
    assert found["step"]["bound"] == "memory"
    cost = found["cost"]
    assert cost["usd_per_1k_output_tokens"] == pytest.approx(1.0 / found["output_tokens_per_s"])
    assert cost["input_share"] + cost["output_share"] == pytest.approx(1.0)
    assert found["slo"]["met"]
    assert found["measured"]["cells"] == []
    assert "no run in" in found["measured"]["reason"]


def test_options_change_what_they_say(llama: Path) -> None:
    plain = estimated(llama, "--device", "H100-SXM")
    fp8 = estimated(llama, "--device", "H100-SXM", "--dtype", "fp8", "--kv-dtype", "fp8")
    assert fp8["memory"]["cache_bytes_per_token"] == plain["memory"]["cache_bytes_per_token"] / 2
    assert plain["output_tokens_per_s"] < fp8["output_tokens_per_s"] < 2 * plain["output_tokens_per_s"]
    two = estimated(llama, "--device", "H100-SXM", "--tp", 2)
    assert two["device"]["devices"] == 2
    assert two["memory"]["weight_bytes_per_device"] == plain["memory"]["weight_bytes"] / 2
    drafted = estimated(llama, "--device", "H100-SXM", "--speculation", "k=4,acceptance=0.6,0.4,0.25,0.15")
    assert drafted["speculation"]["tokens_per_step"] == pytest.approx(2.4)
    assert drafted["output_tokens_per_s"] > 2 * plain["output_tokens_per_s"]
    half = estimated(llama, "--device", "H100-SXM", "--usd-per-hour", 2, "--duty-cycle", 0.5)["cost"]
    assert half["usd_per_1k_output_tokens"] == pytest.approx(2 * half["usd_per_1k_at_full_duty"])


def test_the_table_and_its_explanation(llama: Path) -> None:
    done = CliRunner().invoke(app, ["estimate", str(llama), "--device", "L4", "--batch", "512", "--explain"])
    assert done.exit_code == 0, (done.output, done.exception)
    said = " ".join(done.stdout.split())
    for words in (
        "8.03B parameters", "does not fit", "Parameters by part", "2:4 sparse", "prefill of one prompt", "no dollars",
        "the SLO is not met at batch 512", "a roofline: nothing real is faster",
    ):  # fmt: skip
        assert words in said, words
    assert max(map(len, done.stdout.splitlines())) <= 150


def test_the_worked_examples_are_printed() -> None:
    done = CliRunner().invoke(app, ["estimate", "--worked-examples"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "GPT-3-175B" in done.stdout
    listed = json.loads(CliRunner().invoke(app, ["estimate", "--worked-examples", "--json"]).stdout)
    assert len(listed) > 30
    assert {"figure", "published", "ours", "off", "unit", "note", "inputs"} <= listed[0].keys()


def test_bad_input_says_what_is_wrong_and_what_is_allowed(llama: Path, tmp_path: Path) -> None:
    on = ("--device", "H100-SXM")
    assert "--device is missing" in refused(llama)
    assert "H100-SXM" in refused(llama, "--device", "H10-SXM")
    assert "--dtype bf17 is not known" in refused(llama, *on, "--dtype", "bf17")
    assert "batch must be at least 1" in refused(llama, *on, "--batch", 0)
    assert "needs `acceptance`" in refused(llama, *on, "--speculation", "k=4")
    assert "does not know `kk`" in refused(llama, *on, "--speculation", "kk=4,acceptance=0.5")
    assert "k is 4 and there are 2" in refused(llama, *on, "--speculation", "k=4,acceptance=0.5,0.4")
    assert "never rising" in refused(llama, *on, "--speculation", "acceptance=0.4,0.5")
    assert "positive number" in refused(llama, *on, "--usd-per-hour", 0)
    assert "--duty-cycle is a share" in refused(llama, *on, "--usd-per-hour", 1, "--duty-cycle", 0)
    assert "33 pipeline stages" in refused(llama, *on, "--pp", 33)
    assert "holds no config.json" in refused(tmp_path, *on)
    (llama / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 10}))
    assert "num_hidden_layers" in refused(llama, *on)

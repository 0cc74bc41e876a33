"""What an estimate says beside serving: training, stages, Amdahl's bound, a router; prices of other devices, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.workbench.test_estimate_command import LLAMA_3_8B, estimated, refused
from workbench.cli import app

ON = ("--device", "H100-SXM")
LLAMA_1B = LLAMA_3_8B | {"num_hidden_layers": 4, "hidden_size": 2048, "intermediate_size": 8192}


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return checkpoint(tmp_path / "llama-3-8b", LLAMA_3_8B)


def checkpoint(directory: Path, config: dict[str, Any]) -> Path:
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def table(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["estimate", *map(str, arguments)])
    assert done.exit_code == 0, (done.output, done.exception)
    return " ".join(done.stdout.split())


def test_training_is_6_p_t_over_what_the_devices_reach(llama: Path) -> None:
    asked = (llama, *ON, "--training-tokens", 15e12, "--training-devices", 1024, "--usd-per-hour", 2)
    said = estimated(*asked)["training"]
    flops = 6 * 8_030_261_248 * 15e12
    assert said["flops"] == pytest.approx(flops)
    assert said["days"] == pytest.approx(flops / (1024 * 989.4e12 * 0.4) / 86_400)
    assert (
        said["usd"] == pytest.approx(said["device_hours"] * 2) == pytest.approx(said["days"] * 24 * 1024 * 2)
    )
    half = estimated(*asked, "--training-flops-share", 0.2)["training"]
    assert half["days"] == pytest.approx(2 * said["days"])
    assert estimated(llama, *ON)["training"] is None
    assert "training on 1.5e+13 tokens" in table(*asked)
    assert "no dollars" in table(*asked[:-2])


def test_stages_have_their_bubble_and_tensor_parallel_its_bound(llama: Path) -> None:
    staged = estimated(llama, *ON, "--pp", 4, "--batch", 64, "--input", 8192)
    assert staged["parallelism"]["bubble_share"] == pytest.approx(3 / 67)
    four = estimated(llama, *ON, "--tp", 4)["parallelism"]
    assert four["bubble_share"] is None
    assert 1 < four["tensor_speedup"] < 4 < four["tensor_speedup_at_most"]
    assert "of the time of 64 prefill steps is bubble" in table(
        llama, *ON, "--pp", 4, "--batch", 64, "--input", 8192
    )
    assert "Amdahl" in table(llama, *ON, "--tp", 4)
    assert "Amdahl" not in table(llama, *ON)
    apart = estimated(llama, "--device", "L4", "--pp", 2)
    assert any("what stages hand over is taken to cost no time" in note for note in apart["notes"])


def test_prompts_together_are_a_row_of_their_own(llama: Path) -> None:
    said = estimated(llama, *ON, "--batch", 256, "--input", 10, "--output", 10)
    assert said["prefill_together"]["prompts"] == 256
    assert said["last_ttft_s"] == pytest.approx(said["prefill_together"]["seconds"])
    assert "prefill of 256 prompts together" in table(llama, *ON, "--batch", 256, "--input", 10, "--explain")


def test_a_router_between_two_estimates(llama: Path, tmp_path: Path) -> None:
    small = checkpoint(tmp_path / "small", LLAMA_1B)
    asked = (small, *ON, "--usd-per-hour", 3.6, "--route-to", llama, "--share", 0.7)
    document = estimated(*asked)
    said, own = document["routing"], document["cost"]["usd_per_1k_output_tokens"]
    large = estimated(llama, *ON, "--usd-per-hour", 3.6)["cost"]["usd_per_1k_output_tokens"]
    assert said["notes"] == []
    assert said["large_usd_per_1k"] == pytest.approx(large)
    assert said["routed_usd_per_1k"] == pytest.approx(0.7 * own + 0.3 * large)
    assert said["cascaded_usd_per_1k"] == pytest.approx(own + 0.3 * large)
    assert "a cascade pays from a share of" in table(*asked)
    assert "there is no price" in refused(small, *ON, "--route-to", llama, "--share", 0.5)
    assert "between 0 and 1" in refused(*asked[:-1], 1.5)
    assert estimated(small, *ON)["routing"] is None
    for half in (("--route-to", llama), ("--share", 0.5)):
        assert "belong together" in refused(small, *ON, *half)


def test_a_price_is_that_of_the_device(llama: Path) -> None:
    message = refused(llama, *ON, "--price", "lambda-a10")
    assert "lambda-a10 is that of an hour of A10, and --device is H100-SXM" in message
    one = estimated(llama, *ON, "--price", "aws-p5-h100")
    assert any(
        "sold 8 devices at a time, and 1 are reckoned with: renting them takes 8" in note
        for note in one["notes"]
    )
    eight = estimated(llama, *ON, "--price", "aws-p5-h100", "--dp", 8, "--batch", 8)
    assert not any("at a time" in note for note in eight["notes"])
    assert eight["cost"]["usd_per_1k_output_tokens"] == pytest.approx(one["cost"]["usd_per_1k_output_tokens"])


def test_what_costs_nothing_or_is_another_rate_is_said(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "devices.toml"
    own.write_text(
        '[[device]]\nname = "bare"\nmemory_gib = 64\nbandwidth_gb_per_s = 100\ntflops = { bfloat16 = 10 }\n'
        'source = "declared for a test"\nas_of = 2026-11-01\n'
    )
    monkeypatch.setenv("KILOTOKEN_DEVICES", str(own))
    said = table(llama, "--device", "bare", "--dtype", "float32")
    assert "device bare states no board power" in said
    assert "states no rate in float32: operations are taken at its bfloat16 rate" in said
    assert "states no rate" not in table(llama, "--device", "bare", "--dtype", "int4")


def test_both_masks_are_in_the_table(llama: Path) -> None:
    said = table(llama, *ON, "--explain")
    assert "(causal; no mask)" in said
    causal, open_ = (
        estimated(llama, *ON)["operations"]["attention_equals_its_projections_at"],
        estimated(llama, *ON)["operations"]["without_a_mask"][0],
    )
    assert f"{causal:,.0f} tokens; {open_:,.0f} tokens" in said


def test_limits_and_amounts_that_cannot_be_are_refused(llama: Path) -> None:
    assert "--ttft-s is a time above 0 s, not 0" in refused(llama, *ON, "--ttft-s", 0)
    assert "--tpot-s is a time above 0 s, not -1" in refused(llama, *ON, "--tpot-s", -1)
    assert "both must be positive" in refused(llama, *ON, "--training-tokens", 0)
    assert "both must be positive" in refused(llama, *ON, "--training-tokens", 1e9, "--training-devices", 0)
    wrong = refused(llama, *ON, "--training-tokens", 1e9, "--training-flops-share", 0)
    assert "--training-flops-share is a share" in wrong
    assert "needs --training-tokens" in refused(llama, *ON, "--training-devices", 8)

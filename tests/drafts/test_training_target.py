"""A target in whatever type: only its weights are rounded, and they are the same ones in every type."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="comes with the engine")

from drafts.training.target import load_target, with_weights_in  # noqa: E402
from tests.drafts.tiny_llama import tiny_llama  # noqa: E402


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("target")
    tiny_llama().to(torch.bfloat16).save_pretrained(directory)
    return directory


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_rotary_frequencies_are_float32_in_every_type(saved: Path, dtype: torch.dtype) -> None:
    target = load_target(saved, "cpu", dtype)
    assert {parameter.dtype for parameter in target.parameters()} == {dtype}
    frequencies = target.model.rotary_emb.inv_freq
    size = 2 * len(frequencies)
    exact = target.config.rope_parameters["rope_theta"] ** -(torch.arange(0, size, 2).double() / size)
    assert frequencies.dtype == torch.float32
    assert torch.allclose(frequencies.double(), exact, rtol=1e-6)


def test_widened_again_it_says_what_the_same_files_say_in_float32(saved: Path) -> None:
    tokens = torch.arange(3, 40)[None]
    widened = with_weights_in(load_target(saved, "cpu", torch.bfloat16), torch.float32)
    with torch.inference_mode():
        said, again = (model(tokens).logits for model in (load_target(saved, "cpu", torch.float32), widened))
    assert torch.allclose(said, again, atol=1e-6)

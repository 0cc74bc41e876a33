"""A tiny Llama, quantised: the layout that vLLM reads, and weights that are nearly the same function."""

import json
from pathlib import Path

import numpy as np
import pytest

from drafts import quantise_checkpoint
from serving.models.checkpoint_check import check_checkpoint
from serving.models.quantisation import SCHEMES

torch = pytest.importorskip("torch", reason="quantising needs the extra kilotoken[convert]")
pytest.importorskip("compressed_tensors", reason="quantising needs the extra kilotoken[convert]")
pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=50, num_key_value_heads=2, **shape)).to(torch.bfloat16)
    directory = tmp_path_factory.mktemp("source")
    model.save_pretrained(directory)
    (directory / "tokenizer.json").write_text("{}")
    (directory / "chat_template.jinja").write_text("a template")
    return directory


def tensors(directory: Path) -> dict[str, tuple[str, list[int]]]:
    """Name -> type and shape, from the file's header."""
    raw = (directory / "model.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return {name: (e["dtype"], e["shape"]) for name, e in header.items() if name != "__metadata__"}


def quantised(source: Path, out_dir: Path, scheme: str) -> Path:
    """Quantise as the child does."""
    assert quantise_checkpoint.main([scheme, str(source), str(out_dir)]) == 0
    check_checkpoint(out_dir)
    return out_dir


def test_presets_are_the_catalogues() -> None:
    """Siblings never import one another; their tables are compared here."""
    assert {scheme.name: scheme.preset for scheme in SCHEMES.values()} == quantise_checkpoint.PRESETS


def test_int8_layout(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Linear layers are int8 with a scale per output channel; embeddings, head and norms stay; the rest is copied."""
    out = quantised(source, tmp_path / "out", "int8")
    held = tensors(out)
    assert held["model.layers.0.mlp.up_proj.weight"] == ("I8", [96, 64])
    assert held["model.layers.0.mlp.up_proj.weight_scale"] == ("BF16", [96, 1])
    for name in ("model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"):
        assert held[name][0] == "BF16", name
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert (config["quant_method"], config["format"]) == ("compressed-tensors", "int-quantized")
    assert config["ignore"] == ["lm_head"]
    assert config["config_groups"]["group_0"]["input_activations"]["dynamic"] is True
    assert (out / "chat_template.jinja").read_text() == "a template"
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["result"]["library"].startswith("compressed-tensors ")


def test_int4_takes_the_largest_group_that_fits(source: Path, tmp_path: Path) -> None:
    """Inputs of 64 and 96: 32 divides both, 64 only one."""
    out = quantised(source, tmp_path / "out", "int4")
    weights = json.loads((out / "config.json").read_text())["quantization_config"]["config_groups"][
        "group_0"
    ]["weights"]
    assert (weights["num_bits"], weights["group_size"]) == (4, 32)
    assert tensors(out)["model.layers.0.mlp.down_proj.weight_packed"] == ("I32", [64, 12])


@pytest.mark.parametrize(("scheme", "allowed"), [("int8", 0.02), ("fp8", 0.06), ("int4", 0.25)])
def test_weights_are_nearly_the_same(scheme: str, allowed: float, source: Path, tmp_path: Path) -> None:
    """What the library expands again differs by rounding alone, and not by nothing."""
    from transformers import LlamaForCausalLM

    out = quantised(source, tmp_path / "out", scheme)
    tokens = torch.tensor([[1, 5, 9, 30, 2]])
    with torch.no_grad():
        logits = [
            LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32)(tokens).logits.numpy()
            for directory in (source, out)
        ]
    error = np.abs(logits[1] - logits[0]).max() / np.abs(logits[0]).max()
    assert 0 < error < allowed


def test_quantised_twice_is_refused(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rounding what was rounded loses more than it says."""
    out = quantised(source, tmp_path / "out", "int8")
    assert quantise_checkpoint.main(["int8", str(out), str(tmp_path / "again")]) == 1
    assert "quantised already" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]


def test_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown scheme and a missing argument are answered with the usage."""
    assert quantise_checkpoint.main(["int7", "a", "b"]) == 2
    assert quantise_checkpoint.main(["int8"]) == 2
    assert "usage" in capsys.readouterr().err

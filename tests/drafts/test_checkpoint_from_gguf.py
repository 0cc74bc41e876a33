"""A tiny GGUF Llama with a SentencePiece tokenizer, converted as packaged models are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drafts import checkpoint_from_gguf
from serving.models.checkpoint_check import check_checkpoint

gguf = pytest.importorskip("gguf", reason="converting needs the extra kilotoken[convert]")
pytest.importorskip("torch", reason="converting needs the extra kilotoken[convert]")
pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own

PIECES = ["▁", "a", "b", "c", "ab", "▁a", "▁ab"]
BYTES = [f"<0x{value:02X}>" for value in range(256)]
TOKENS = ["<unk>", "<s>", "</s>", *BYTES, *PIECES]
TYPES = [2, 3, 3, *[6] * 256, *[1] * len(PIECES)]  # unknown, control, byte, normal
TEMPLATE = "{% for message in messages %}{{ message['content'] + eos_token }}\n{% endfor %}"
HIDDEN, INNER, HEADS, KV_HEADS = 32, 48, 4, 2


def write_gguf(path: Path, *, add_bos: bool | None) -> None:
    """One layer of seeded weights; `add_bos` None leaves the field out, as older files do."""
    random = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0] * 259 + [-float(rank) for rank in range(len(PIECES))])
    writer.add_token_types(TYPES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(TEMPLATE)
    if add_bos is not None:
        writer.add_add_bos_token(add_bos)
    kv = HIDDEN * KV_HEADS // HEADS
    shapes = {
        "token_embd": (len(TOKENS), HIDDEN), "output_norm": (HIDDEN,), "output": (len(TOKENS), HIDDEN),
        "blk.0.attn_q": (HIDDEN, HIDDEN), "blk.0.attn_k": (kv, HIDDEN), "blk.0.attn_v": (kv, HIDDEN),
        "blk.0.attn_output": (HIDDEN, HIDDEN), "blk.0.attn_norm": (HIDDEN,), "blk.0.ffn_norm": (HIDDEN,),
        "blk.0.ffn_gate": (INNER, HIDDEN), "blk.0.ffn_up": (INNER, HIDDEN), "blk.0.ffn_down": (HIDDEN, INNER),
    }  # fmt: skip
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def converted(tmp_path: Path, *, add_bos: bool | None) -> Path:
    """Convert as the child does."""
    source, out = tmp_path / "source.gguf", tmp_path / "out"
    write_gguf(source, add_bos=add_bos)
    out.mkdir()
    assert checkpoint_from_gguf.main([str(source), str(out)]) == 0
    check_checkpoint(out)
    return out


def load_tokenizer(directory: Path) -> Any:
    """What the engine would load."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(directory)


def test_checkpoint_keeps_shape_template_and_text(tmp_path: Path) -> None:
    """The config says what the file says; the chat template survives; SentencePiece's rules hold."""
    out = converted(tmp_path, add_bos=None)
    config = json.loads((out / "config.json").read_text())
    assert (config["hidden_size"], config["num_key_value_heads"], config["dtype"]) == (32, 2, "bfloat16")
    tokenizer = load_tokenizer(out)
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "ab"}], tokenize=False)
    assert chat == "ab</s>\n"
    ids = {piece: 259 + rank for rank, piece in enumerate(PIECES)}
    assert tokenizer.encode("ab c") == [1, ids["▁ab"], ids["▁"], ids["c"]]
    assert tokenizer.encode(" ab", add_special_tokens=False) == [ids["▁"], ids["▁ab"]], (
        "a space before a space"
    )
    assert tokenizer.encode("é", add_special_tokens=False)[1:] == [3 + byte for byte in "é".encode()]
    assert tokenizer.decode(tokenizer.encode(" ab é"), skip_special_tokens=True) == " ab é"


@pytest.mark.parametrize(("add_bos", "begins"), [(None, [1]), (True, [1]), (False, [])])
def test_begins_as_the_model_was_trained(add_bos: bool | None, begins: list[int], tmp_path: Path) -> None:
    """A missing field means yes for SentencePiece; a file that says no is believed."""
    tokenizer = load_tokenizer(converted(tmp_path, add_bos=add_bos))
    assert tokenizer.encode("")[:1] == begins


def test_rotary_rows_are_moved_back(tmp_path: Path) -> None:
    """GGUF keeps q and k rows in interleaved pairs; a checkpoint has the two halves of a head."""
    from safetensors.torch import load_file

    out = converted(tmp_path, add_bos=None)
    held = load_file(out / "model.safetensors")["model.layers.0.self_attn.k_proj.weight"].float().numpy()
    reader = gguf.GGUFReader(str(tmp_path / "source.gguf"))
    (stored,) = (tensor.data for tensor in reader.tensors if tensor.name == "blk.0.attn_k.weight")
    width = HIDDEN // HEADS
    moved = stored.reshape(KV_HEADS, width // 2, 2, HIDDEN).swapaxes(1, 2).reshape(stored.shape)
    np.testing.assert_allclose(held, moved, rtol=0.01, atol=0.01)
    assert not np.allclose(held, stored, atol=0.1)


def test_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """Anything but two arguments is answered with the usage."""
    assert checkpoint_from_gguf.main([]) == 2
    assert "usage" in capsys.readouterr().err

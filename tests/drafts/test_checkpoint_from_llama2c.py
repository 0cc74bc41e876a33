"""The llama2.c converter: its checkpoint computes what llama2.c computes, its tokenizer encodes alike."""

import importlib.util
import itertools
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.errors import ModelError
from drafts import checkpoint_from_llama2c as llama2c

_MISSING = [
    name for name in ("torch", "transformers", "safetensors") if importlib.util.find_spec(name) is None
]
if _MISSING and not os.environ.get("CI"):
    pytest.skip(f"not installed: {', '.join(_MISSING)}", allow_module_level=True)

LAYERS, DIM, HIDDEN, HEADS, KV_HEADS, CONTEXT = 2, 8, 16, 2, 1, 12
HEAD_DIM = DIM // HEADS
PIECES = [" ", "a", "b", "c", "é", "\n", "ab", " a", "bc", " ab", "abc", " abc", "a a", " b"]
VOCABULARY = 259 + len(PIECES)
SHAPES = {
    "embed": (VOCABULARY, DIM),
    "rms_att": (LAYERS, DIM),
    "wq": (LAYERS, DIM, DIM),
    "wk": (LAYERS, KV_HEADS * HEAD_DIM, DIM),
    "wv": (LAYERS, KV_HEADS * HEAD_DIM, DIM),
    "wo": (LAYERS, DIM, DIM),
    "rms_ffn": (LAYERS, DIM),
    "w1": (LAYERS, HIDDEN, DIM),
    "w2": (LAYERS, DIM, HIDDEN),
    "w3": (LAYERS, HIDDEN, DIM),
    "rms_final": (DIM,),
    "freqs": (2, CONTEXT, HEAD_DIM // 2),
    "head": (VOCABULARY, DIM),
}
Weights = dict[str, np.ndarray[Any, np.dtype[np.float32]]]


def make_weights() -> Weights:
    """Random weights that bfloat16 holds exactly (multiples of 1/32 below 4), so that nothing is rounded."""
    random = np.random.default_rng(7)
    return {
        name: (np.clip(np.round(random.normal(0, 0.6, shape) * 32), -127, 127) / 32).astype(np.float32)
        for name, shape in SHAPES.items()
    }


def tokenizer_bytes(*, byte_text: bool = False) -> bytes:
    """A llama2.c tokenizer with the byte tokens stored in either of its two ways."""
    pieces = [b"<unk>", b"\n<s>\n", b"\n</s>\n"]
    pieces += [b"<0x%02X>" % value if byte_text else bytes([value]) for value in range(256)]
    pieces += [piece.encode() for piece in PIECES]
    scores = [0.0] * 259 + [-float(rank) for rank in range(len(PIECES))]
    body = b"".join(struct.pack("<fi", s, len(p)) + p for s, p in zip(scores, pieces, strict=True))
    return struct.pack("<i", max(map(len, pieces))) + body


def model_bytes(weights: Weights, *, tied: bool) -> bytes:
    """A llama2.c model file, without a tokenizer."""
    vocabulary = VOCABULARY if tied else -VOCABULARY
    header = struct.pack("<7i", DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, vocabulary, CONTEXT)
    names = [name for name in SHAPES if not (tied and name == "head")]
    return header + b"".join(weights[name].tobytes() for name in names)


def rms_norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """llama2.c's normalisation."""
    return x / np.sqrt((x * x).mean() + 1e-5) * weight


def rotate(rows: np.ndarray, position: int) -> np.ndarray:
    """llama2.c's rotary step: each pair of neighbours turns by its own angle."""
    turned = rows.copy()
    for start in range(0, HEAD_DIM, 2):
        angle = position / 10000.0 ** (start / HEAD_DIM)
        x, y = rows[:, start], rows[:, start + 1]
        turned[:, start] = x * np.cos(angle) - y * np.sin(angle)
        turned[:, start + 1] = x * np.sin(angle) + y * np.cos(angle)
    return turned


def reference_logits(w: Weights, tokens: list[int], *, tied: bool) -> np.ndarray:
    """llama2.c's forward pass, token by token with a cache of keys and values."""
    keys: list[list[np.ndarray]] = [[] for _ in range(LAYERS)]
    values: list[list[np.ndarray]] = [[] for _ in range(LAYERS)]
    logits = []
    for position, token in enumerate(tokens):
        x = w["embed"][token].astype(np.float64)
        for layer in range(LAYERS):
            normed = rms_norm(x, w["rms_att"][layer])
            queries = rotate((w["wq"][layer] @ normed).reshape(HEADS, HEAD_DIM), position)
            keys[layer].append(rotate((w["wk"][layer] @ normed).reshape(KV_HEADS, HEAD_DIM), position))
            values[layer].append((w["wv"][layer] @ normed).reshape(KV_HEADS, HEAD_DIM))
            heads = []
            for head in range(HEADS):
                shared = head * KV_HEADS // HEADS
                scores = np.array([queries[head] @ key[shared] for key in keys[layer]]) / np.sqrt(HEAD_DIM)
                shares = np.exp(scores - scores.max())
                shares /= shares.sum()
                heads.append(sum(p * v[shared] for p, v in zip(shares, values[layer], strict=True)))
            x = x + w["wo"][layer] @ np.concatenate(heads)
            normed = rms_norm(x, w["rms_ffn"][layer])
            gate = w["w1"][layer] @ normed
            x = x + w["w2"][layer] @ (gate / (1 + np.exp(-gate)) * (w["w3"][layer] @ normed))
        logits.append(w["embed" if tied else "head"] @ rms_norm(x, w["rms_final"]))
    return np.array(logits)


def converted_logits(directory: Path, tokens: list[int]) -> np.ndarray:
    """What transformers computes from the converted checkpoint, in float32."""
    import torch
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32)
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].numpy()


def convert(directory: Path, *, tied: bool) -> Weights:
    """Convert the tiny model into `directory`/out and return its weights."""
    weights = make_weights()
    source = directory / "source"
    source.write_bytes(model_bytes(weights, tied=tied) + tokenizer_bytes())
    llama2c.convert(source, directory / "out")
    return weights


TOKENS = [1, 260, 266, 40, 259, 272, 265, 3]


@pytest.mark.parametrize("tied", [True, False])
def test_logits_are_those_of_llama2c(tied: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The converted model is the same function, with a tied and with an own output head."""
    weights = convert(tmp_path, tied=tied)
    steps = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [step["done"] for step in steps] == [0, 1, 2, 3, 4]
    expected = reference_logits(weights, TOKENS, tied=tied)
    np.testing.assert_allclose(converted_logits(tmp_path / "out", TOKENS), expected, rtol=1e-3, atol=1e-3)


def test_logits_differ_without_the_rotary_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above would notice rows left in llama2.c's order."""
    monkeypatch.setattr(llama2c, "_half_split", lambda rows, head_dim: rows)
    weights = convert(tmp_path, tied=True)
    difference = converted_logits(tmp_path / "out", TOKENS) - reference_logits(weights, TOKENS, tied=True)
    assert np.abs(difference[0]).max() < 1e-3, "position 0 is not rotated, so the first token agrees"
    assert np.abs(difference[1:]).max() > 0.1


def test_config_says_what_the_header_says(tmp_path: Path) -> None:
    """The engine is told the true shape, and a context it may use."""
    convert(tmp_path, tied=False)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    assert (config["num_attention_heads"], config["num_key_value_heads"]) == (HEADS, KV_HEADS)
    assert (config["max_position_embeddings"], config["trained_context_tokens"]) == (2048, CONTEXT)
    assert config["vocab_size"] == VOCABULARY


def test_weights_are_bfloat16(tmp_path: Path) -> None:
    """Weights are stored in half the size, and a tied head is not stored twice."""
    convert(tmp_path, tied=True)
    raw = (tmp_path / "out" / "model.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    del header["__metadata__"]
    assert {entry["dtype"] for entry in header.values()} == {"BF16"}
    assert "lm_head.weight" not in header


def reference_encode(text: str) -> list[int]:
    """llama2.c's encoder: characters (bytes where unknown), then the best-scored neighbours join, and again."""
    ids = {piece: 259 + rank for rank, piece in enumerate(PIECES)}
    tokens: list[int] = []
    for character in " " + text if text else "":
        tokens += [ids[character]] if character in ids else [3 + byte for byte in character.encode()]
    while True:
        pairs = [
            (-ids[joined], place)
            for place, (left, right) in enumerate(itertools.pairwise(tokens))
            if left >= 259 and right >= 259
            if (joined := PIECES[left - 259] + PIECES[right - 259]) in ids
        ]
        if not pairs:
            return tokens
        best, place = max(pairs, key=lambda pair: (pair[0], -pair[1]))
        tokens[place : place + 2] = [-best]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """The tiny model's tokenizer."""
    return llama2c.build_tokenizer(llama2c.read_pieces(tokenizer_bytes(), 0, VOCABULARY))


@given(text=st.text(alphabet="abcé \n\t😀z", max_size=30))
def test_tokenizer_encodes_as_llama2c_and_gives_the_text_back(tokenizer: Any, text: str) -> None:
    """Same ids for any text, unknown characters included, and no text is lost."""
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert ids == reference_encode(text)
    assert tokenizer.decode(ids) == text


def test_saved_tokenizer(tmp_path: Path) -> None:
    """What transformers loads from the files encodes alike and renders chats as plain text."""
    from transformers import AutoTokenizer

    convert(tmp_path, tied=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.encode("abc b") == [1, *reference_encode("abc b")]
    assert tokenizer.decode(tokenizer.encode(" abc  é😀"), skip_special_tokens=True) == " abc  é😀"
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (1, 2)
    messages = [{"role": "user", "content": "abc"}, {"role": "assistant", "content": "b"}]
    chat = tokenizer.apply_chat_template(messages, tokenize=False)
    assert chat == "<s>abc\nb"
    assert tokenizer.encode(chat, add_special_tokens=False) == tokenizer.encode("abc\nb")


def test_both_ways_of_storing_byte_tokens() -> None:
    """Older tokenizer files hold the byte itself, newer ones its name."""
    as_bytes = llama2c.read_pieces(tokenizer_bytes(), 0, VOCABULARY)
    assert as_bytes == llama2c.read_pieces(tokenizer_bytes(byte_text=True), 0, VOCABULARY)
    assert as_bytes[68] == ("<0x41>", 0.0)
    assert as_bytes[1][0] == "<s>"
    assert as_bytes[266][0] == "▁a"


@pytest.mark.parametrize("kept", [0, 27, 100, -1])
def test_cut_off_file(kept: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever the file ends early, the last line on stdout says so."""
    source = tmp_path / "source"
    source.write_bytes((model_bytes(make_weights(), tied=True) + tokenizer_bytes())[:kept])
    assert llama2c.main([str(source), str(tmp_path / "out")]) == 1
    assert "error" in json.loads(capsys.readouterr().out.splitlines()[-1])


def test_file_without_a_tokenizer(tmp_path: Path) -> None:
    """Weights alone are refused: the tokenizer must follow them."""
    data = model_bytes(make_weights(), tied=True)
    header = llama2c.parse_header(data)
    _, end = llama2c.read_tensors(data, header)
    assert end == len(data)
    with pytest.raises(ModelError, match="no tokenizer that can be read"):
        llama2c.read_pieces(data, end, header.vocabulary)


@pytest.mark.parametrize(
    "numbers",
    [
        (8, 16, 2, 2, 1, 5, 12),
        (8, 16, 2, 3, 1, 300, 12),
        (8, 16, 0, 2, 1, 300, 12),
        (8, 16, 2, 4, 3, 300, 12),
    ],
)
def test_header_that_cannot_be(numbers: tuple[int, ...]) -> None:
    """Numbers that cannot shape a model are refused before memory is asked for."""
    with pytest.raises(ModelError, match=r"not a llama2\.c file"):
        llama2c.parse_header(struct.pack("<7i", *numbers))


def test_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """Anything but two arguments is answered with the usage."""
    assert llama2c.main([]) == 2
    assert "usage" in capsys.readouterr().err

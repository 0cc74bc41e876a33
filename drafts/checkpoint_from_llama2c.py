"""Makes a Llama checkpoint from a llama2.c file: float32 weights followed by the llama2.c tokenizer.

Run as `python -m drafts.checkpoint_from_llama2c SOURCE OUT_DIR`. Progress goes to stdout, one JSON object a
line ({"stage", "done", "total"}); a failure's cause is the "error" of the last one.

The file: seven little-endian int32 (dim, hidden, layers, heads, kv heads, vocabulary, context; a negative
vocabulary means an output head of its own), the tensors in the order of `read_tensors`, then the tokenizer:
an int32 and for each token a float32 score, an int32 length and that many bytes.
"""

from __future__ import annotations

import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accounting.errors import KilotokenError, ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Floats = NDArray[np.float32]

_STEPS = 4
_SERVED_CONTEXT = 2048  # tokens; what the engine may use, beyond what such a small model was trained on
_BYTE_TOKENS = range(3, 259)  # ids 0, 1, 2 are <unk>, <s>, </s>
_SPECIAL = ("<unk>", "<s>", "</s>")
_CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['content'] }}"
    "{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}"
)


@dataclass(frozen=True, slots=True)
class Header:
    """The shape of a llama2.c model."""

    dim: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int  # tokens it was trained on
    tied: bool

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads


def parse_header(data: bytes) -> Header:
    """Read the seven integers and refuse what cannot be a model."""
    if len(data) < 28:
        raise ModelError("This is not a llama2.c file: it is shorter than its header.")
    dim, hidden, layers, heads, kv_heads, vocabulary, context = struct.unpack_from("<7i", data)
    positive = min(dim, hidden, layers, heads, kv_heads, abs(vocabulary), context) > 0
    if not positive or dim % (2 * heads) or heads % kv_heads or abs(vocabulary) < _BYTE_TOKENS.stop:
        raise ModelError(f"This is not a llama2.c file: its header reads {struct.unpack_from('<7i', data)}.")
    return Header(dim, hidden, layers, heads, kv_heads, abs(vocabulary), context, tied=vocabulary > 0)


def read_tensors(data: bytes, header: Header) -> tuple[dict[str, Floats], int]:
    """The weights under the names transformers gives them (q and k rows re-ordered), and where they end."""
    taken = 28

    def take(*shape: int) -> Floats:
        nonlocal taken
        count = int(np.prod(shape))
        if taken + 4 * count > len(data):
            raise ModelError(f"The llama2.c file is cut off: {len(data):,} bytes do not hold its tensors.")
        values = np.frombuffer(data, dtype="<f4", count=count, offset=taken)
        taken += 4 * count
        return values.reshape(shape)

    h, kv_dim = header, header.kv_heads * header.head_dim
    tensors = {"model.embed_tokens.weight": take(h.vocabulary, h.dim)}
    per_layer = {
        "input_layernorm": take(h.layers, h.dim),
        "self_attn.q_proj": take(h.layers, h.dim, h.dim),
        "self_attn.k_proj": take(h.layers, kv_dim, h.dim),
        "self_attn.v_proj": take(h.layers, kv_dim, h.dim),
        "self_attn.o_proj": take(h.layers, h.dim, h.dim),
        "post_attention_layernorm": take(h.layers, h.dim),
        "mlp.gate_proj": take(h.layers, h.hidden, h.dim),
        "mlp.down_proj": take(h.layers, h.dim, h.hidden),
        "mlp.up_proj": take(h.layers, h.hidden, h.dim),
    }
    tensors["model.norm.weight"] = take(h.dim)
    take(2, h.context, h.head_dim // 2)  # tables of the rotary angles, which the engine computes itself
    if not h.tied:
        tensors["lm_head.weight"] = take(h.vocabulary, h.dim)
    for name, stacked in per_layer.items():
        for layer in range(h.layers):
            rotary = name in ("self_attn.q_proj", "self_attn.k_proj")
            weight = _half_split(stacked[layer], h.head_dim) if rotary else stacked[layer]
            tensors[f"model.layers.{layer}.{name}.weight"] = weight
    return tensors, taken


def _half_split(rows: Floats, head_dim: int) -> Floats:
    """Re-order a projection's rows from interleaved rotary pairs (0, 1), (2, 3)… to (0, n/2), (1, n/2+1)…

    llama2.c rotates neighbours, transformers and vLLM rotate the two halves of a head. The model is the same
    only if the rows move along; without this it still speaks, but incoherently.
    """
    paired = rows.reshape(-1, head_dim // 2, 2, rows.shape[1])
    return np.ascontiguousarray(paired.swapaxes(1, 2).reshape(rows.shape))


def read_pieces(data: bytes, start: int, vocabulary: int) -> list[tuple[str, float]]:
    """Each token's SentencePiece text and score, in the order of ids."""
    offset = start + 4  # after the longest token's length
    pieces: list[tuple[str, float]] = []
    try:
        for token in range(vocabulary):
            score, length = struct.unpack_from("<fi", data, offset)
            raw = data[offset + 8 : offset + 8 + length]
            if len(raw) != length:
                raise ModelError("The llama2.c file is cut off inside its tokenizer.")
            offset += 8 + length
            pieces.append((_piece_text(token, raw), score))
    except (struct.error, UnicodeDecodeError) as error:
        raise ModelError(f"The llama2.c file ends in no tokenizer that can be read: {error}") from error
    return pieces


def _piece_text(token: int, raw: bytes) -> str:
    if token < len(_SPECIAL):
        return _SPECIAL[token]  # llama2.c stores <s> and </s> with line feeds around them
    if token in _BYTE_TOKENS:
        return f"<0x{token - _BYTE_TOKENS.start:02X}>"  # stored as the byte itself or as this text
    return raw.decode("utf-8").replace(" ", "▁")


def build_tokenizer(pieces: list[tuple[str, float]]) -> Tokenizer:
    """A fast tokenizer that encodes as llama2.c and SentencePiece do: prefix space, byte fallback, BPE by score."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
    from transformers.tokenization_utils_base import generate_merges

    vocabulary = {text: token for token, (text, _) in enumerate(pieces)}
    if len(vocabulary) != len(pieces):
        raise ModelError("The llama2.c tokenizer holds the same piece twice.")
    unmerged = {text for text, _ in pieces[: _BYTE_TOKENS.stop]}
    merges = generate_merges(vocabulary, vocab_scores=dict(pieces), skip_tokens=unmerged)
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    # A normalizer, not the Metaspace pre-tokenizer: SentencePiece adds its space also before a space.
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in _SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def _config(header: Header) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "bos_token_id": 1,
        "dtype": "bfloat16",
        "eos_token_id": 2,
        "head_dim": header.head_dim,
        "hidden_act": "silu",
        "hidden_size": header.dim,
        "intermediate_size": header.hidden,
        "max_position_embeddings": max(_SERVED_CONTEXT, header.context),
        "mlp_bias": False,
        "num_attention_heads": header.heads,
        "num_hidden_layers": header.layers,
        "num_key_value_heads": header.kv_heads,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": header.tied,
        "trained_context_tokens": header.context,  # a note for readers; answers past it get poor
        "vocab_size": header.vocabulary,
    }


_TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "add_bos_token": True,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "clean_up_tokenization_spaces": False,
    "model_max_length": _SERVED_CONTEXT,
    "chat_template": _CHAT_TEMPLATE,  # a base model knows no roles
}
# Stories were trained one after another with only <s> between them, so <s> ends a story as </s> would.
_GENERATION_CONFIG = {"bos_token_id": 1, "eos_token_id": [2, 1]}


def convert(source: Path, out_dir: Path) -> None:
    """Write config, weights (bfloat16 safetensors) and tokenizer of the llama2.c file `source` into `out_dir`."""
    _progress("loading libraries", 0)
    import torch
    from safetensors.torch import save_file

    _progress("reading weights", 1)
    data = source.read_bytes()
    header = parse_header(data)
    tensors, end = read_tensors(data, header)
    out_dir.mkdir(parents=True, exist_ok=True)
    # np.array copies: torch wants memory that may be written.
    weights = {name: torch.from_numpy(np.array(value)).to(torch.bfloat16) for name, value in tensors.items()}
    _progress("writing weights", 2)
    save_file(weights, out_dir / "model.safetensors", metadata={"format": "pt"})
    _progress("converting the tokenizer", 3)
    build_tokenizer(read_pieces(data, end, header.vocabulary)).save(str(out_dir / "tokenizer.json"))
    for name, content in (
        ("config.json", _config(header)),
        ("tokenizer_config.json", _TOKENIZER_CONFIG),
        ("generation_config.json", _GENERATION_CONFIG),
    ):
        (out_dir / name).write_text(json.dumps(content, indent=2) + "\n")
    _progress("converting the tokenizer", _STEPS)


def _progress(stage: str, done: int) -> None:
    sys.stdout.write(json.dumps({"stage": stage, "done": done, "total": _STEPS}) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Convert, or say on stdout why not."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m drafts.checkpoint_from_llama2c SOURCE OUT_DIR\n")
        return 2
    try:
        convert(Path(arguments[0]), Path(arguments[1]))
    except (ImportError, KilotokenError) as error:
        hint = "; pip install 'kilotoken[convert]'" if isinstance(error, ImportError) else ""
        sys.stdout.write(json.dumps({"error": f"{error}{hint}"}) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

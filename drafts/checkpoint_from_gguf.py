"""Makes a bfloat16 checkpoint from a GGUF file, as vLLM 0.32 does not read GGUF.

Run as `python -m drafts.checkpoint_from_gguf SOURCE OUT_DIR`. Progress goes to stdout, one JSON object a line
({"stage", "done", "total"}); a failure's cause is the "error" of the last one.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

_STEPS = 4


def convert(source: Path, out_dir: Path) -> None:
    """Write config, weights (bfloat16 safetensors) and tokenizer of the GGUF file `source` into `out_dir`."""
    _progress("loading libraries", 0)
    import gguf
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    _parse_once(gguf)
    _progress("expanding weights", 1)
    # Without dequantize=True the weights stay packed, and saving them is refused.
    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    _progress("writing weights", 2)
    model.save_pretrained(out_dir)
    _progress("converting the tokenizer", 3)
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    _mend_sentencepiece(tokenizer, gguf.GGUFReader(str(source)))
    tokenizer.save_pretrained(out_dir)
    _progress("converting the tokenizer", _STEPS)


def _parse_once(gguf: Any) -> None:
    """Let transformers share one parse of the file and one table of tensor names.

    It reads the header three times (some 3 s each: 98,000 strings) and rebuilds the name table for every
    submodule. Both are looked up in the gguf module at each call, so remembering them there is enough; if a
    later version looks elsewhere, conversion is slower and still right.
    """
    gguf.GGUFReader = functools.cache(gguf.GGUFReader)
    gguf.get_tensor_name_map = functools.cache(gguf.get_tensor_name_map)


def _mend_sentencepiece(tokenizer: Any, reader: Any) -> None:
    """Let a Llama tokenizer begin with <s>, and put its space also before a space, as SentencePiece does.

    GGUF leaves `add_bos_token` out where it is the default, which for a SentencePiece model is yes (llama.cpp,
    `llm_load_vocab`); transformers takes a missing one as no. A model that was trained behind <s> must get it.
    """
    from tokenizers import normalizers

    def field(name: str) -> Any:
        found = reader.get_field(f"tokenizer.ggml.{name}")
        return None if found is None else found.contents()

    if field("model") != "llama":
        return
    backend = tokenizer.backend_tokenizer
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.pre_tokenizer = None
    tokenizer.add_bos_token = field("add_bos_token") is not False


def _progress(stage: str, done: int) -> None:
    sys.stdout.write(json.dumps({"stage": stage, "done": done, "total": _STEPS}) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Convert, or say on stdout why not."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m drafts.checkpoint_from_gguf SOURCE OUT_DIR\n")
        return 2
    try:
        convert(Path(arguments[0]), Path(arguments[1]))
    except ImportError as error:
        sys.stdout.write(json.dumps({"error": f"{error}; pip install 'kilotoken[convert]'"}) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A Llama with random numbers in it, of any size: a model for timing and not for its answers.

Run as `python -m drafts.random_checkpoint SIZES.json TOKENIZER_FROM TARGET`; SIZES.json holds keys of a Llama's config.json, the
tokenizer is that of another checkpoint, whose vocabulary the sizes must name. Progress and a failure's cause go to stdout, one
JSON object a line.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from drafts.child_words import say, told
from drafts.tokenizer_files import copy_tokenizer

_GENERATION = "generation_config.json"
_STEPS = 2


def make(sizes: Path, tokenizer_from: Path, target: Path) -> None:
    """Write the checkpoint into `target`, bfloat16."""
    say(stage="drawing weights", done=0, total=_STEPS)
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    config = LlamaConfig(**json.loads(sizes.read_text(encoding="utf-8")))
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    say(stage="writing weights", done=1, total=_STEPS)
    model.save_pretrained(target)
    copy_tokenizer(tokenizer_from, target)
    if (tokenizer_from / _GENERATION).is_file():
        shutil.copyfile(tokenizer_from / _GENERATION, target / _GENERATION)


def main(arguments: list[str]) -> int:
    """Make it, or say on stdout why not."""
    sizes, tokenizer_from, target = map(Path, arguments)
    return told(lambda: make(sizes, tokenizer_from, target))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A Llama of a few thousand parameters, and answers that it gives greedily: real models, small enough for any test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def tiny_llama(*, layers: int = 4, hidden: int = 32, seed: int = 1, vocabulary: int = 64) -> Any:
    """Random weights, float32, in evaluation."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, head_dim=hidden // 4, max_position_embeddings=512,
        initializer_range=0.3, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def write_answers(path: Path, model: Any, *, count: int, seed: int = 1, tokens: int = 24) -> Path:
    """Traces of so many greedy answers to random prompts."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    lines = []
    for number in range(count):
        prompt = torch.randint(3, model.config.vocab_size, (1, 6), generator=generator)
        text = prompt
        with torch.inference_mode():
            for _ in range(tokens):
                text = torch.cat([text, model(text).logits[:, -1:].argmax(dim=-1)], dim=1)
        line = {
            "id": f"{seed}-{number}", "label": "tiny", "model": "tiny",
            "prompt_token_ids": prompt[0].tolist(), "output_token_ids": text[0, 6:].tolist(),
        }  # fmt: skip
        lines.append(json.dumps(line))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path

"""Which files of a checkpoint are its tokenizer's: what is made of it takes them along as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

_PATTERNS = (
    "tokenizer*",
    "*.jinja",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
)


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy them from one checkpoint's directory into another's."""
    for pattern in _PATTERNS:
        for path in source.glob(pattern):
            shutil.copyfile(path, target / path.name)

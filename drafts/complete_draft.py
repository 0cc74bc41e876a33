"""A packed draft and its base as one checkpoint again: `python -m drafts.complete_draft PACKED BASE OUT`.

The result is the file that was trained, byte for byte: its SHA-256 must be the manifest's.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from accounting.errors import ModelError
from drafts.child_words import told
from drafts.manifest import changed_files, read_manifest
from drafts.pack_draft import checkpoint_tensors
from drafts.tokenizer_files import copy_tokenizer

_NOT_COPIED = ("base.json", "trained.safetensors", "kilotoken-check.json")


def complete_draft(packed: Path, base: Path, out: Path) -> dict[str, Any]:
    """Write the whole checkpoint.

    Raises:
        ModelError: if it is not what the manifest says.
    """
    manifest = read_manifest(packed)
    if manifest is None:
        raise ModelError(f"{packed} has no manifest.")
    there = checkpoint_tensors(base)
    names = json.loads((packed / "base.json").read_bytes())["tensors"]
    if missing := [name for name in names if name not in there]:
        raise ModelError(f"{base} has no {missing[0]}, which {packed.name} needs of it.")
    tensors = load_file(packed / "trained.safetensors") | {name: there[name] for name in names}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    copy_tokenizer(base, out)
    for path in packed.iterdir():
        if path.is_file() and path.name not in _NOT_COPIED:
            shutil.copyfile(path, out / path.name)
    if wrong := changed_files(out, manifest.files):
        raise ModelError(
            f"{packed.name} and its base do not make the draft that was trained: {'; '.join(wrong)}."
        )
    return {"tensors": len(tensors)}


if __name__ == "__main__":
    sys.exit(told(lambda: complete_draft(*map(Path, sys.argv[1:4]))))

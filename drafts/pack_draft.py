"""A trained draft without what its base has already, for a repository: `python -m drafts.pack_draft DRAFT OUT [NAME BASE]`.

Only tensors that differ from the base's are kept, in `trained.safetensors`. `drafts.complete_draft` puts both together again.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from drafts.child_words import told
from drafts.tokenizer_files import copy_tokenizer

#: What goes along, besides the tokenizer of a draft model that rests on no base.
_FILES = (
    "config.json",
    "generation_config.json",
    "kilotoken-draft.json",
    "parity.json",
    "CARD.md",
)


def pack_draft(
    draft: Path, out: Path, base_name: str | None = None, base: Path | None = None
) -> dict[str, Any]:
    """Write the packed directory; what was kept and what was left out.

    Raises:
        ValueError: if nothing of the base is in the draft.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        if (draft / name).is_file():
            shutil.copyfile(draft / name, out / name)
    if base is None:
        copy_tokenizer(draft, out)
        shutil.copyfile(draft / "model.safetensors", out / "model.safetensors")
        return {"kept": len(load_file(draft / "model.safetensors")), "left_out": []}
    own, there = load_file(draft / "model.safetensors"), checkpoint_tensors(base)
    left_out = [name for name, tensor in own.items() if name in there and torch.equal(tensor, there[name])]
    if not left_out:
        raise ValueError(f"{draft} has no tensor of {base}: pack it without a base")
    kept = {name: tensor for name, tensor in own.items() if name not in left_out}
    save_file(kept, out / "trained.safetensors", metadata={"format": "pt"})
    (out / "base.json").write_text(json.dumps({"model": base_name, "tensors": left_out}, indent=2) + "\n")
    return {"kept": len(kept), "left_out": left_out}


def checkpoint_tensors(directory: Path) -> dict[str, torch.Tensor]:
    """All of them, from however many files."""
    found: dict[str, torch.Tensor] = {}
    for path in sorted(directory.glob("*.safetensors")):
        found |= load_file(path)
    return found


if __name__ == "__main__":
    _draft, _out, *_base = sys.argv[1:]
    _name, _directory = (_base[0], Path(_base[1])) if _base else (None, None)
    sys.exit(told(lambda: pack_draft(Path(_draft), Path(_out), _name, _directory)))

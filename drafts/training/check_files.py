"""What a draft's files say when they are computed: run as `python -m drafts.training.check_files JOB.json`.

Whole as a language model or a head, its own tokens a proper part of the target's, its logits those of its trainer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from accounting.errors import ModelError
from drafts.child_words import told
from drafts.distil.says import model_says
from drafts.eagle3.checkpoint import NotModelledError, ReadHead, is_head, read_head
from drafts.eagle3.says import head_says
from drafts.eagle3.teacher import default_layers
from drafts.training.device import device_for
from drafts.training.parity import ParityRecord, Says, compared, read_record
from drafts.training.target import load_target

#: A row's logits may differ so far from the recorded ones, in units of their spread: float32 on another machine, bfloat16.
TOLERANCE = {"float32": 0.02, "bfloat16": 0.15, "float16": 0.15}
SAME_FIRST = 0.95


class CheckJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Paths are absolute; without a device a GPU is taken where there is one."""

    draft: str
    target: str
    device: str | None = None


def check_files(job: CheckJob) -> dict[str, Any]:
    """`problems` in words, and `parity`: figures, or why there are none; or what of it is `not_modelled` here."""
    draft = Path(job.draft)
    device = device_for(job.device)
    problems: list[str] = []
    parity: dict[str, Any] = {
        "reason": "the draft brings no record of what its trainer computed (parity.json)"
    }
    try:
        record = read_record(draft)
        if is_head(draft):
            read = read_head(draft)
            problems += _table_problems(draft, read, job)
            says, ids = (
                _head(job, read, record, device)
                if record
                else (None, torch.from_numpy(read.vocabulary.target_ids))
            )
        else:
            model, lacking = _whole_model(draft, device)
            problems += lacking
            says, ids = model_says(model), torch.arange(model.config.vocab_size)
    except NotModelledError as error:
        return {"not_modelled": error.message}
    except ModelError as error:
        return {"problems": [error.message], "parity": {"reason": "the files cannot be computed"}}
    if record and says:
        found = compared(record, says, ids)
        tolerance = TOLERANCE[record.dtype]
        parity = asdict(found) | {"tolerance": tolerance, "dtype": record.dtype}
        if not (found.median_error <= tolerance and found.same_first >= SAME_FIRST):  # NaN too
            problems.append(_other_logits(found.same_first, found.median_error, tolerance))
    return {"problems": problems, "parity": parity}


def _whole_model(directory: Path, device: str) -> tuple[Any, list[str]]:
    model, loaded = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, output_loading_info=True
    )
    missing = sorted(loaded["missing_keys"])
    return model.to(device).eval(), [f"the tensor {name} is missing" for name in missing]


def _head(job: CheckJob, read: ReadHead, record: ParityRecord, device: str) -> tuple[Says, torch.Tensor]:
    dtype = getattr(torch, record.dtype)
    target = load_target(job.target, device, dtype)
    layers = read.layers or default_layers(target.config.num_hidden_layers)
    steps = 1 + max(row.step for row in record.rows)
    head = read.head.float().to(device)
    return head_says(head, target, layers, steps), torch.from_numpy(read.vocabulary.target_ids)


def _table_problems(draft: Path, read: ReadHead, job: CheckJob) -> Iterator[str]:
    """What a table of d2t offsets cannot say: rising, different tokens, all of them the target's."""
    ids = read.vocabulary.target_ids
    size = AutoConfig.from_pretrained(job.target).vocab_size
    if len(ids) and (ids.min() < 0 or ids.max() >= size):
        yield (
            f"d2t leads to token {ids.max()} of a target with {size}: it must hold offsets (target id = i + d2t[i]), "
            "not the target's ids"
        )
    elif len(set(ids.tolist())) < len(ids):
        yield f"d2t leads {len(ids) - len(set(ids.tolist()))} times to a token that another one is already"
    elif read.known is not None and read.known.nonzero()[0].tolist() != sorted(ids.tolist()):
        yield "t2d marks other tokens than d2t leads to: d2t must hold offsets (target id = i + d2t[i])"


def _other_logits(same_first: float, error: float, tolerance: float) -> str:
    return (
        f"its logits are not its trainer's: the likeliest token is the same at {same_first:.0%} of the recorded places, "
        f"and they differ by {error:.2g} of their spread in the median ({tolerance:g} allowed)"
    )


if __name__ == "__main__":
    sys.exit(told(lambda: check_files(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=CheckJob))))

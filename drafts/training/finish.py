"""The last files of a trained draft: what it said where (parity.json), and what it is (kilotoken-draft.json)."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import psutil
import torch

from drafts.manifest import FILES, Manifest, TargetIdentity, digests, fingerprint, write_manifest
from drafts.training.examples import ExampleFile
from drafts.training.job import TrainingJob
from drafts.training.parity import ParityRecord, write_record

#: Parameters up to which a target's states are recorded in float32; a larger one's in the type that it is served in.
FLOAT32_UP_TO = 3_000_000_000
#: Bytes of memory for each of them: the weights once more, and something to compute with.
_FLOAT32_ROOM = 6
_TEXTS, _TOKENS = 4, 64
#: Paths and names of the training's own directory say nothing about the draft.
_NOT_SETTINGS = ("target", "trained", "held_out", "directory", "about", "threads", "start", "verifier")


def probe_type(target: Any) -> torch.dtype:
    """In which type a target's states are computed for a parity record: float32 where it has room."""
    parameters = target.num_parameters()
    has_room = psutil.virtual_memory().available > _FLOAT32_ROOM * parameters
    return torch.float32 if parameters <= FLOAT32_UP_TO and has_room else torch.bfloat16


def texts_to_probe(held_out: ExampleFile) -> list[list[int]]:
    """The beginnings of a few held-out texts, prompts and answers."""
    chosen = np.linspace(0, len(held_out) - 1, min(_TEXTS, len(held_out)))
    return [held_out[int(number)].tokens[:_TOKENS].tolist() for number in chosen]


def finish_draft(
    directory: Path,
    job: TrainingJob,
    kind: Literal["distil", "eagle3"],
    found: dict[str, Any],
    record: ParityRecord,
) -> None:
    """Write both files into the directory of the exported draft.

    Raises:
        ModelError: if the target's files cannot be read.
    """
    write_record(directory, record)
    settings = {
        key: value
        for key, value in msgspec.to_builtins(job).items()
        if key not in _NOT_SETTINGS and value is not None
    }
    about = job.about
    manifest = Manifest(
        name=about.name or directory.parent.name,
        kind=kind,
        target=TargetIdentity(
            name=about.target or Path(job.target).name, sha256=fingerprint(Path(job.target))
        ),
        licence=about.licence,
        command=about.command,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={name: version(name) for name in ("torch", "transformers")},
        data=about.data,
        settings=settings,
        metrics={key: value for key, value in found.items() if key != "looks"},
        files=digests(directory, FILES),
    )
    write_manifest(directory, manifest)

"""How a hub repository becomes a directory here: fetched in a child, or taken from the cache when there is no hub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from accounting.errors import ModelError
from serving.models.checkpoint_check import check_checkpoint
from serving.models.fetch import Report, RunChild, run_child
from serving.models.hub_cache import find_snapshot, hub_cache_root, is_commit
from workbench.child_steps import run_module

_DOWNLOADER = "serving.models.hub_download"


@dataclass(frozen=True, slots=True)
class HubSnapshot:
    """A whole snapshot on this machine. `note` says why it may not be the newest, if so."""

    directory: Path
    commit: str
    note: str = ""


def fetch_from_hub(
    repository: str,
    revision: str | None,
    *,
    report: Report,
    tokenizer_needed: bool = True,
    environment: Mapping[str, str] = os.environ,
    run: RunChild = run_child,
) -> HubSnapshot:
    """The snapshot that `revision` means now, fetched as far as it is not here.

    A commit that is here needs no network. Where the hub cannot be reached, a whole snapshot in the cache serves,
    and `report` and the note say so.

    Raises:
        ModelError: gated, not found, unreachable and not here, no safetensors, a disk too small or filled.
    """
    root = hub_cache_root(environment)
    here = find_snapshot(root, repository, revision, tokenizer_needed=tokenizer_needed)
    cached = here if here is not None and not here.problem else None
    if cached is not None and is_commit(revision):
        return HubSnapshot(cached.directory, cached.commit)
    # Blobs shared between repositories would outlive `kilotoken models remove`.
    outcome = run_module(
        _DOWNLOADER,
        [repository, revision or ""],
        report,
        stage_prefix=f"{repository}: ",
        environment={"HF_HUB_DISABLE_SHARED_BLOBS": "1"},
        run=run,
    )
    if not outcome.error:
        directory = Path(outcome.result["directory"])
        check_checkpoint(directory, tokenizer_needed=tokenizer_needed)
        return HubSnapshot(directory, str(outcome.result["commit"]))
    if outcome.kind == "unreachable" and cached is not None:
        note = f"from the cache, commit {cached.commit[:12]}: the hub could not be asked for a newer one"
        report(f"{repository}: {note}", 1, None)
        return HubSnapshot(cached.directory, cached.commit, note)
    raise ModelError(outcome.error, hint=outcome.hint, details="" if outcome.hint else outcome.details)

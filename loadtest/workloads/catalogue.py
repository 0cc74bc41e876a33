"""Which workloads a name can mean: the generated ones, or a file of the user's own prompts."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from accounting.errors import ConfigError
from loadtest.workloads import chat, copy_edit, shared_prefix, story
from loadtest.workloads.jsonl import read_jsonl
from loadtest.workloads.prompt import Workload

WORKLOADS: dict[str, Callable[[int], Workload]] = {
    chat.NAME: chat.generate,
    copy_edit.NAME: copy_edit.generate,
    story.NAME: story.generate,
    shared_prefix.NAME: shared_prefix.generate,
}


def load_workload(name_or_path: str, *, seed: int, base_dir: Path | None = None) -> Workload:
    """The workload of that name, or the one in that .jsonl file (looked up from `base_dir`).

    `seed` decides the generated workloads; a file says everything itself and ignores it.
    """
    if name_or_path in WORKLOADS:
        return WORKLOADS[name_or_path](seed)
    if name_or_path.endswith(".jsonl"):
        path = Path(name_or_path)
        return read_jsonl(path if base_dir is None else base_dir / path)
    known = ", ".join(WORKLOADS)
    nearest = difflib.get_close_matches(name_or_path.lower(), WORKLOADS, n=1, cutoff=0.4)
    raise ConfigError(
        f"There is no workload {name_or_path!r}. Allowed: {known}, or the path of a file ending in .jsonl.",
        hint=f"Did you mean {nearest[0]!r}?" if nearest else f"Use one of {known}, or a .jsonl file.",
    )

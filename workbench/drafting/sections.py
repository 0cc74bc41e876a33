"""How a draft is served: which method its files are for, and the whole configuration of a server with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accounting.errors import ModelError
from serving.config import ServerConfig
from serving.models.checkpoint_facts import CheckpointFacts
from workbench.experiment import validated

#: Positions of a context that a check or a training needs at most; a model's own limit counts where it is lower.
MAX_MODEL_LEN = 2048
_OTHER_HEADS = ("eagle", "medusa", "dflash", "dspark", "mtp")


def method_of(draft: CheckpointFacts) -> str:
    """`eagle3` for a head, `draft_model` for a language model.

    Raises:
        ModelError: for a head of another method.
    """
    if not draft.is_head:
        return "draft_model"
    said = f"{' '.join(draft.architectures)} {draft.speculators_type or ''}".lower()
    if "eagle3" in said or not any(kind in said for kind in _OTHER_HEADS):
        return "eagle3"
    raise ModelError(
        f"{draft.name} ({said.strip()}) is a head of another method.",
        hint="Draft models and EAGLE-3 heads can be checked; this one can be served and compared by `kilotoken run`.",
    )


def longest(target: CheckpointFacts) -> int:
    """Positions that a server for a few short answers needs: a model's own limit where it is lower."""
    return min(MAX_MODEL_LEN, target.integer("max_position_embeddings") or MAX_MODEL_LEN)


def speculation(draft: CheckpointFacts, directory: Path, k: int) -> dict[str, Any]:
    """The section; a draft is served whatever its check said, as it is the check that asks."""
    return {
        "method": method_of(draft), "model": str(directory), "num_speculative_tokens": k, "unchecked": True,
    }  # fmt: skip


def server_with(
    target: str, facts: CheckpointFacts, section: dict[str, Any], *, dtype: str, streams: int
) -> ServerConfig:
    """The target with this speculation, for a few short answers.

    Args:
        facts: of the target.

    Raises:
        ConfigError: if it is no configuration.
    """
    sections = {
        "model": {"name": target, "dtype": dtype, "max_model_len": longest(facts)},
        "batching": {"max_num_seqs": streams},
        "engine": {"enforce_eager": True},
        "speculation": section,
    }
    return validated(ServerConfig, sections, origin="draft")

"""Settings of a training as a command line gives them, `name=value`, checked against what the trainer knows."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any, Literal

from accounting.errors import ConfigError

#: What both trainers take, and each of them alone (drafts/training/job.py, distil/train.py, eagle3/train.py). Here by name
#: because the trainers' modules need torch; a test holds the lists against them.
SHARED = (
    "device", "longest", "epochs", "tokens_per_step", "learning_rate", "max_overlap", "threads", "early", "late",
    "hybrid_from",
)  # fmt: skip
OWN: dict[str, tuple[str, ...]] = {
    "distil": ("layers", "likeliest", "train_embedding"),
    "eagle3": ("layers", "vocabulary_sizes", "steps", "decay", "noise", "verifier", "initial"),
}


def parse_settings(given: Sequence[str], kind: Literal["distil", "eagle3"]) -> tuple[tuple[str, Any], ...]:
    """Names and values; numbers and lists as JSON writes them, anything else as text.

    Raises:
        ConfigError: for what is not `name=value`, or no setting of this kind of training.
    """
    known = (*SHARED, *OWN[kind])
    found = []
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"--set {text!r} is no setting of {kind}: NAME=VALUE with {', '.join(sorted(known))}.",
                hint=f"Write {nearest[0]}=..." if nearest else "",
            )
        found.append((name, _value(value.strip())))
    return tuple(found)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

"""How far has a loading server come? Read from its log, in words for a progress line."""

from __future__ import annotations

#: (text in the log, what it means), in the order in which a start passes them.
_STAGES = (
    ("non-default args", "reading the configuration"),
    ("Resolved architecture", "starting the engine"),
    ("Initializing a V1 LLM engine", "starting the worker"),
    ("Starting to load model", "loading weights"),
    ("Loading weights took", "preparing the KV cache"),
    ("Loading drafter model", "loading the draft"),
    ("KV cache size", "warming up"),
    ("Dynamo bytecode", "compiling"),
    ("init engine", "opening the port"),
    ("Application startup complete", "ready"),
)


def latest_stage(lines: list[str]) -> str:
    """The latest stage that the log shows; "importing the engine" before the first."""
    reached = "importing the engine"
    for needle, stage in _STAGES:
        if any(needle in line for line in lines):
            reached = stage
    return reached

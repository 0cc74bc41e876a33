"""What a prompt and a workload are, and which splits exist.

A template belongs to exactly one split. A draft model trained on some prompts of a template has seen the
template's wording and the shape of its answers; measured on other prompts of the same template, its
acceptance would be flattered. Splitting by template, not by prompt, keeps that out of the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec


class Split(StrEnum):
    """What a prompt may be used for; no prompt and no template serves two of these."""

    TRAIN = "train"  # drafts learn from the target's answers to these
    WARM_UP = "warm_up"  # sent before the clock counts
    MEASURED = "measured"  # the only prompts behind a published number
    HELD_OUT = "held_out"  # checks a trained draft before any server is started


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message as the server's API takes it."""

    role: str
    content: str


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How the server picks tokens. Only what is set is sent, except the temperature: greedy where nothing is said."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    stop: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request's input, or one session's.

    The input is `messages`, or `token_ids` where exact tokens matter (the completions endpoint takes them as
    they are). The ids may be made anew at each reading, because a trace's would fill the memory: take
    `list(prompt.token_ids)` once, where they are sent. `turns` are further user messages: each is asked when
    the answer before it has come, with the whole conversation so far.
    """

    prompt_id: str  # stable and unique within the workload
    workload: str
    template: str
    split: Split
    messages: tuple[Message, ...]
    max_tokens: int | None = None  # the longest answer allowed, in tokens; None where the experiment decides
    token_ids: Sequence[int] | None = None
    turns: tuple[str, ...] = ()
    sampling: Sampling | None = None  # over the workload's or the experiment's, field by field
    output_tokens: int | None = None  # the answer's declared length (a trace's): sent as fixed, then verified
    at_s: float | None = None  # a trace's own time of arrival, seconds after its first request


@dataclass(frozen=True)
class Workload:
    """A named list of prompts and where it came from, so that a result can be traced to its input."""

    name: str
    description: str
    source: str  # "generated, seed N", or the file's path and sha256
    prompts: tuple[Prompt, ...]
    synthetic: str = (
        ""  # why its texts are no real ones (acceptance must not be quoted on them); empty when they are
    )

    def of(self, split: Split) -> tuple[Prompt, ...]:
        """The prompts of one split, in the order in which they are meant to be sent."""
        return tuple(prompt for prompt in self.prompts if prompt.split is split)

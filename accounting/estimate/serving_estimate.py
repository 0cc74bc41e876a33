"""What serving a load would give at best: tokens a second, time per token, time to the first one.

All sequences of a batch have prompts of one length and answers of one length, and as one ends the next begins. A
round is one answer of every sequence: all prompts prefilled, and as many steps as an answer needs.
"""

from __future__ import annotations

from dataclasses import dataclass

from accounting.estimate.placement import Placement
from accounting.estimate.step_time import StepTime, decode_step, prefill_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """`batch` sequences in flight over all replicas; lengths in tokens."""

    batch: int
    input_tokens: int
    output_tokens: int

    def __post_init__(self) -> None:
        """Refuse what is no load."""
        for name in ("batch", "input_tokens", "output_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    @property
    def context(self) -> float:
        """Mean length of a sequence while it decodes."""
        return self.input_tokens + self.output_tokens / 2

    @property
    def longest(self) -> int:
        """Length of a sequence at its end."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafting:
    """Speculation: `accepted` are s_1..s_k, the chances that the first i drafted tokens are all accepted.

    `draft`: the draft model on the same devices, None where drafting costs next to nothing (n-gram, suffix).
    """

    accepted: tuple[float, ...]
    draft: Placement | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be accepted."""
        falls = all(a >= b for a, b in zip(self.accepted, self.accepted[1:], strict=False))
        if not self.accepted or not falls or not all(0 <= s <= 1 for s in self.accepted):
            raise ValueError(
                "acceptance holds the chances that the first 1, 2, ... drafted tokens are all accepted: between 0 and 1, "
                f"never rising; not {', '.join(f'{s:g}' for s in self.accepted) or 'none'}"
            )

    @property
    def tokens_per_step(self) -> float:
        """E(k) = 1 + sum of s_i."""
        return 1.0 + sum(self.accepted)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingEstimate:
    """The estimate and all that it rests on. `step`: one decode step; `prefill`: one prompt's.

    `prefill_share`: of the time of a round. `tokens_per_s`: output tokens over all replicas.
    """

    load: Load
    step: StepTime
    drafting_s: float
    prefill: StepTime
    tokens_per_step: float
    ttft_s: float
    tpot_s: float
    tokens_per_s: float
    prefill_share: float
    largest_batch: int

    @property
    def fits(self) -> bool:
        """Whether the batch fits into memory."""
        return self.load.batch <= self.largest_batch


def estimate(placed: Placement, load: Load, drafting: Drafting | None = None) -> ServingEstimate:
    """Estimate one load. A batch that does not fit is estimated all the same: `fits` says so."""
    per_replica = load.batch / placed.data
    sequences = max(1.0, per_replica)
    verified = 1 if drafting is None else len(drafting.accepted) + 1
    step = decode_step(placed, sequences, load.context, tokens=verified)
    drafting_s = _drafting_s(drafting, sequences, load.context)
    prefill = prefill_step(placed, load.input_tokens)
    per_step = 1.0 if drafting is None else drafting.tokens_per_step
    steps = (load.output_tokens - 1) / per_step
    decoding_s = steps * (step.seconds + drafting_s)
    prefilling_s = sequences * prefill.seconds
    round_s = decoding_s + prefilling_s
    later = load.output_tokens - 1
    # Between two tokens of a stream lie its own steps and, now and then, the prompts of the others.
    waiting_s = prefilling_s - prefill.seconds
    return ServingEstimate(
        load=load,
        step=step,
        drafting_s=drafting_s,
        prefill=prefill,
        tokens_per_step=per_step,
        ttft_s=prefill.seconds,
        tpot_s=(decoding_s + waiting_s) / later if later else 0.0,
        tokens_per_s=min(placed.data, load.batch) * sequences * load.output_tokens / round_s,
        prefill_share=prefilling_s / round_s,
        largest_batch=placed.largest_batch(load.longest),
    )


def _drafting_s(drafting: Drafting | None, sequences: float, context: float) -> float:
    """k steps of the draft, one after the other."""
    if drafting is None or drafting.draft is None:
        return 0.0
    return len(drafting.accepted) * decode_step(drafting.draft, sequences, context).seconds

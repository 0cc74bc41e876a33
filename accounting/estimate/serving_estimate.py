"""What serving a load would give at best: tokens a second, time per token, time to the first one.

All sequences of a batch have prompts of one length and answers of one length, and as one ends the next begins. A round is
one answer of every sequence: all prompts prefilled, as many in a step as the engine takes tokens, and as many steps as an
answer needs.
"""

from __future__ import annotations

from dataclasses import dataclass

from accounting.estimate.parallelism import bubble_share
from accounting.estimate.placement import Placement
from accounting.estimate.step_time import StepTime, decode_step, prefill_step, sequences_per_part


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
class Round:
    """The steps of one replica in which each of its `sequences` gets one answer.

    `decoding`: sequences in each of `decode_steps`. `prompts` in each of `prefill_steps`, on average: as one sequence ends the
    next begins, so that steps fill. `prefill_passes`: how often a step's time through all pipeline stages they take, their
    bubble included; as many as steps without stages.
    """

    sequences: float
    decoding: float
    decode_steps: float
    prompts: float
    prefill_steps: float
    prefill_passes: float

    @property
    def steps(self) -> float:
        """Steps in all, one after the other."""
        return self.decode_steps + self.prefill_passes

    @property
    def sequence_steps(self) -> float:
        """Sequences in each of them, summed."""
        return self.decode_steps * self.decoding + self.prefill_passes * self.prompts


def round_of(placed: Placement, load: Load, drafting: Drafting | None = None) -> Round:
    """How a load's round falls into steps: prompts are prefilled together up to the device's `batched_tokens`, a longer one
    alone.
    """
    sequences = max(1.0, load.batch / placed.data)
    prompts = min(sequences, max(1.0, placed.device.batched_tokens / load.input_tokens))
    prefill_steps = sequences / prompts
    idle = bubble_share(placed.pipeline, prefill_steps)
    return Round(
        sequences=sequences,
        decoding=sequences_per_part(placed, sequences),
        decode_steps=(load.output_tokens - 1) / (1.0 if drafting is None else drafting.tokens_per_step),
        prompts=prompts,
        prefill_steps=prefill_steps,
        prefill_passes=prefill_steps / (placed.pipeline * (1.0 - idle)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingEstimate:
    """The estimate and all that it rests on. `step`: one decode step; `prefill`: of one prompt alone, `prefill_together`: of
    as many as a step of the round holds.

    `ttft_s`: of a prompt that waits for no other, `last_ttft_s`: of the last one where all of a round come at once.
    `prefill_share`: of the time of a round. `tokens_per_s`: output tokens over all replicas.
    """

    load: Load
    round: Round
    step: StepTime
    drafting_s: float
    prefill: StepTime
    prefill_together: StepTime
    tokens_per_step: float
    ttft_s: float
    last_ttft_s: float
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
    found = round_of(placed, load, drafting)
    verified = 1 if drafting is None else len(drafting.accepted) + 1
    step = decode_step(placed, found.sequences, load.context, tokens=verified)
    drafting_s = _drafting_s(drafting, found.sequences, load.context)
    alone = prefill_step(placed, load.input_tokens)
    together = prefill_step(placed, load.input_tokens, prompts=found.prompts)
    decoding_s = found.decode_steps * (step.seconds + drafting_s)
    prefilling_s = found.prefill_passes * together.seconds
    round_s = decoding_s + prefilling_s
    later = load.output_tokens - 1
    # Between two tokens of a stream lie its own steps and, now and then, the prompts of the others.
    waiting_s = max(0.0, prefilling_s - alone.seconds)
    return ServingEstimate(
        load=load,
        round=found,
        step=step,
        drafting_s=drafting_s,
        prefill=alone,
        prefill_together=together,
        tokens_per_step=1.0 if drafting is None else drafting.tokens_per_step,
        ttft_s=alone.seconds,
        last_ttft_s=prefilling_s,
        tpot_s=seconds_per_token(decoding_s + waiting_s, later) if later else 0.0,
        tokens_per_s=output_tokens_per_s(load.batch, load.output_tokens, round_s),
        prefill_share=prefilling_s / round_s,
        largest_batch=placed.largest_batch(load.longest, beside=None if drafting is None else drafting.draft),
    )


def output_tokens_per_s(batch: float, output_tokens: float, seconds: float) -> float:
    """Of a batch whose sequences each get so many tokens in so many seconds."""
    return batch * output_tokens / seconds


def seconds_per_token(seconds: float, tokens: float) -> float:
    """Mean time of one of a stream's tokens."""
    return seconds / tokens


def _drafting_s(drafting: Drafting | None, sequences: float, context: float) -> float:
    """k steps of the draft, one after the other."""
    if drafting is None or drafting.draft is None:
        return 0.0
    return len(drafting.accepted) * decode_step(drafting.draft, sequences, context).seconds

"""What a closed loop of so many streams delivers when its steps take what they take: tokens per second, TPOT.

Each request is one step of prefill, that also makes its first token, and (O - 1) / E steps of decoding. In the mean step of B
streams that are always busy, B D / (D + 1) sequences decode (D decode steps a request) and B / (D + 1) are prefilled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy.optimize import brentq

from accounting.planning.drafting_yield import DraftingYield
from accounting.planning.step_cost import StepCost, StepWork


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestShape:
    """Means over requests, tokens.

    Attributes:
        prefilled: of the prompt, what no prefix cache had.
        output: of the answer.
        context: behind a sequence in the mean decode step.
    """

    prefilled: float
    output: float
    context: float

    def decode_steps(self, drafting: DraftingYield) -> float:
        """Steps of one request behind the one that makes its first token."""
        return (self.output - 1) / drafting.tokens_per_step


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyRate:
    """Of one policy at one load. The interval is the step's."""

    tokens_per_s: float
    low_tokens_per_s: float
    high_tokens_per_s: float
    tpot_s: float
    step_s: float


def mean_step(streams: float, drafting: DraftingYield, shape: RequestShape) -> StepWork:
    """What is in the mean step.

    Raises:
        ValueError: without a stream, or for answers of less than a token.
    """
    if streams <= 0 or shape.output < 1:
        raise ValueError(f"{streams} streams of answers of {shape.output} tokens make no load")
    steps = shape.decode_steps(drafting)
    decoding, arriving = streams * steps / (steps + 1), streams / (steps + 1)
    return StepWork(
        method=drafting.method,
        sequences=decoding,
        drafted=decoding * drafting.drafted,
        draft_steps=drafting.draft_steps,
        context=decoding * shape.context,
        prefilled=arriving * shape.prefilled,
    )


def steady_rate(streams: float, drafting: DraftingYield, shape: RequestShape, cost: StepCost) -> SteadyRate:
    """Tokens per second of a closed loop.

    Raises:
        ValueError: without a stream, or for a method whose steps were not measured.
    """
    step = cost.predicted(mean_step(streams, drafting, shape))
    tokens = streams / (shape.decode_steps(drafting) + 1) * shape.output
    return SteadyRate(
        tokens_per_s=tokens / step.seconds,
        low_tokens_per_s=tokens / step.high,
        high_tokens_per_s=tokens / step.low if step.low > 0 else float("inf"),
        tpot_s=step.seconds / drafting.tokens_per_step,
        step_s=step.seconds,
    )


def break_even_tokens_per_step(
    rate: Callable[[DraftingYield], float], drafting: DraftingYield, off: float
) -> float | None:
    """Tokens per step from which on drafting delivers what no drafting does; None where all drafts accepted do not suffice.

    Args:
        rate: tokens per second of a drafting (at one load and shape).
        off: tokens per second without any.
    """
    low, high = 1.0, 1.0 + drafting.drafted
    if rate(drafting.with_tokens_per_step(high)) < off:
        return None
    if rate(drafting.with_tokens_per_step(low)) >= off:
        return low
    return float(brentq(lambda tokens: rate(drafting.with_tokens_per_step(tokens)) - off, low, high))


def paying_loads(ratio: Callable[[int], float], streams: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of streams (both ends included, among those asked) in which the ratio to no drafting is above one.

    A list: what verification costs need not grow evenly (a mixture of experts is dearest in between).
    """
    ranges: list[tuple[int, int]] = []
    before = None
    for at in sorted(streams):
        if ratio(at) > 1.0 and ranges and ranges[-1][1] == before:
            ranges[-1] = (ranges[-1][0], at)
        elif ratio(at) > 1.0:
            ranges.append((at, at))
        before = at
    return ranges

"""How a trace's arrivals become prompts: which stretch of it, what the prompts consist of, and their warm-up.

A trace holds times and lengths, never text, so a prompt is made of blocks (`token_blocks.py`). Every arrival
of the stretch is measured, in its own order and at its own time; two that consist of the same blocks are two
requests of the trace and both stay. The warm-up has prompts of the same lengths, spread over the stretch,
from blocks that no measured prompt has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import msgspec

from accounting.errors import ConfigError
from loadtest.workloads.filler_words import text_of
from loadtest.workloads.prompt import Message, Prompt, Split, Workload
from loadtest.workloads.token_blocks import DEFAULT_VOCABULARY, DrawnTokens, TokenBlocks

_WARM_UP_PROMPTS = (64, 1000)  # at least, at most
_ANOTHER_ROUND = 1 << 40  # between the keys of warm-up prompts that have one arrival's lengths
_MOST_WORDS = 20_000_000  # a text cannot be made at each reading as token ids can

DRAWN_IDS = "token ids drawn at random, no text that anybody wrote"
DRAWN_WORDS = "words drawn at random, no text that anybody wrote"


class TraceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What every trace's name may say behind `?`."""

    scale: Annotated[float, msgspec.Meta(gt=0)] = 1.0  # multiplies input lengths
    output_scale: Annotated[float, msgspec.Meta(gt=0)] = 1.0  # multiplies output lengths
    start_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # the stretch, in seconds of the trace
    duration_s: Annotated[float, msgspec.Meta(gt=0)] | None = None  # None: to the trace's end
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None  # only the first so many requests of the stretch
    vocab: Annotated[int, msgspec.Meta(ge=1)] = DEFAULT_VOCABULARY  # the served model's, in tokens
    text: Literal["words"] | None = None  # words instead of token ids, one for each token


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request of a trace: when (s), and how many tokens of which blocks; keys are 0 or above."""

    number: int  # the file's line, or which draw: stable and unique within the trace
    at_s: float
    keys: tuple[int, ...]
    lengths: tuple[int, ...]
    output_tokens: int


def scaled(tokens: int, scale: float) -> int:
    """So many tokens times `scale`, at least one: a request without input or answer measures nothing."""
    return max(1, round(tokens * scale))


def stretch_of(arrivals: Sequence[Arrival], options: TraceOptions, *, origin: str) -> list[Arrival]:
    """The arrivals that the options ask for, by time; `at_s` becomes seconds after the first of them.

    Raises:
        ConfigError: if there is none.
    """
    end_s = float("inf") if options.duration_s is None else options.start_s + options.duration_s
    within = [arrival for arrival in arrivals if options.start_s <= arrival.at_s < end_s]
    within.sort(key=lambda arrival: arrival.at_s)
    if not within:
        times = [arrival.at_s for arrival in arrivals]
        span = f"from {min(times):g} to {max(times):g} s" if times else "at no time at all"
        raise ConfigError(
            f"{origin}: no request arrives from {options.start_s:g} to {end_s:g} s. The trace's arrive {span}.",
            hint="Change start_s or duration_s.",
        )
    first_s = within[0].at_s
    return [replace(arrival, at_s=arrival.at_s - first_s) for arrival in within[: options.limit]]


def trace_workload(
    arrivals: Sequence[Arrival], options: TraceOptions, *, name: str, seed: int, source: str, about: str
) -> Workload:
    """The workload of a stretch: its arrivals as measured prompts, and their warm-up.

    Args:
        arrivals: of the stretch, at least one.
        options: what the name said.
        name: of the workload; part of what decides the tokens.
        seed: the rest of what decides them.
        source: file, digest and options.
        about: what the file is, for the description.
    """
    if options.text is not None:
        _check_words(arrivals, source)
    maker = _Maker(DrawnTokens.seeded(options.vocab, name=name, seed=seed), options.text is not None, name)
    measured = [maker.prompt(arrival, Split.MEASURED) for arrival in arrivals]
    warm_up = [maker.prompt(arrival, Split.WARM_UP) for arrival in _warm_up(arrivals)]
    tokens = sum(sum(arrival.lengths) for arrival in arrivals)
    repeats = len(arrivals) - len({(arrival.keys, arrival.lengths) for arrival in arrivals})
    description = (
        f"{len(arrivals)} requests in {arrivals[-1].at_s:.0f} s from {about}, {tokens / len(arrivals):.0f} tokens "
        f"in and {sum(a.output_tokens for a in arrivals) / len(arrivals):.0f} out on average"
    )
    if repeats:
        description += f"; {repeats} repeat an earlier prompt, as in the trace"
    synthetic = DRAWN_IDS if options.text is None else DRAWN_WORDS
    return Workload(name, description, f"{source}, seed {seed}", (*measured, *warm_up), synthetic)


@dataclass(frozen=True, slots=True)
class _Maker:
    tokens: DrawnTokens
    words: bool
    workload: str

    def prompt(self, arrival: Arrival, split: Split) -> Prompt:
        measured = split is Split.MEASURED
        messages: tuple[Message, ...] = ()
        if self.words:
            messages = (Message("user", text_of(self.tokens.seed, arrival.keys, arrival.lengths)),)
        return Prompt(
            prompt_id=f"{self.workload}-{'' if measured else 'warm-up-'}{arrival.number:06d}",
            workload=self.workload,
            template="trace" if measured else "trace_warm_up",
            split=split,
            messages=messages,
            token_ids=None if self.words else TokenBlocks(self.tokens, arrival.keys, arrival.lengths),
            output_tokens=arrival.output_tokens,
            at_s=arrival.at_s if measured else None,
        )


def _warm_up(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Arrivals spread evenly over the stretch, with keys below 0; a short stretch is gone through again."""
    least, most = _WARM_UP_PROMPTS
    count = min(max(least, len(arrivals)), most)
    step = max(1.0, len(arrivals) / count)
    chosen = []
    for number in range(count):
        lap, index = divmod(int(number * step), len(arrivals))
        arrival = arrivals[index]
        keys = tuple(-1 - key - lap * _ANOTHER_ROUND for key in arrival.keys)
        chosen.append(replace(arrival, number=number, keys=keys))
    return chosen


def _check_words(arrivals: Sequence[Arrival], source: str) -> None:
    words = sum(sum(arrival.lengths) for arrival in arrivals)
    if words > _MOST_WORDS:
        raise ConfigError(
            f"{source}: text=words would make {words / 1e6:.0f} million words. At most {_MOST_WORDS / 1e6:.0f} "
            "million are made.",
            hint="Give a smaller scale, a duration_s or a limit, or leave text=words out.",
        )

"""How Mooncake's traces become arrivals whose prompts share prefixes exactly as the traced ones did.

JSON lines with timestamp (ms), input_length, output_length and hash_ids: one id for each 512 tokens of the
input, equal where the input up to there was equal. Each id becomes one block of `block` tokens, always the
same: what was shared is shared, block by block. So input lengths are scaled by block / 512 (the last block
of an input, which may be a part of one, to at least one token), and `scale` is another way to say `block`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from accounting.errors import ConfigError
from loadtest.workloads.json_lines import Place, file_bytes, numbered_lines
from loadtest.workloads.name_options import as_said, checked_options
from loadtest.workloads.prompt import Workload
from loadtest.workloads.trace_prompts import Arrival, TraceOptions, scaled, stretch_of, trace_workload

TRACED_BLOCK = 512  # tokens that one hash id stands for
_EXAMPLE = '{"timestamp": 0, "input_length": 600, "output_length": 20, "hash_ids": [0, 1]}'


class MooncakeOptions(TraceOptions, frozen=True, kw_only=True):
    """What a Mooncake trace's name may say behind `?`."""

    block: Annotated[int, msgspec.Meta(ge=1)] | None = None  # tokens for each hash id; 512 unless scaled


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    timestamp: Annotated[float, msgspec.Meta(ge=0)]
    input_length: Annotated[int, msgspec.Meta(ge=1)]
    output_length: Annotated[int, msgspec.Meta(ge=0)]
    hash_ids: list[Annotated[int, msgspec.Meta(ge=0, lt=1 << 40)]]


FIELDS = _Line.__struct_fields__


def read_mooncake(path: Path, *, name: str, pairs: Mapping[str, str], seed: int) -> Workload:
    """The workload in a Mooncake trace.

    Raises:
        ConfigError: naming the option, or the line that is damaged.
    """
    options = checked_options(pairs, MooncakeOptions, origin=f"mooncake:{path}")
    block = _block(pairs, options, origin=f"mooncake:{path}")
    raw = file_bytes(path, holds="the trace", hint="Give the path of a Mooncake trace in JSON lines.")
    decode = msgspec.json.Decoder(_Line).decode
    arrivals = [
        _arrival(_line(text, place, decode), place.number, block, options.output_scale)
        for text, place in numbered_lines(path, raw, example=_EXAMPLE)
    ]
    return trace_workload(
        stretch_of(arrivals, options, origin=str(path)),
        options,
        name=name,
        seed=seed,
        source=f"{path}, sha256 {hashlib.sha256(raw).hexdigest()}{as_said(pairs)}",
        about=f"{path.name}, {block} tokens for each block of {TRACED_BLOCK}",
    )


def _block(pairs: Mapping[str, str], options: MooncakeOptions, *, origin: str) -> int:
    from_scale = max(1, round(TRACED_BLOCK * options.scale))
    if options.block is None:
        return from_scale
    if "scale" in pairs and from_scale != options.block:
        raise ConfigError(
            f"{origin}: block={options.block} and scale={pairs['scale']} contradict each other. One block stands "
            f"for {TRACED_BLOCK} tokens, so block={options.block} is the scale {options.block / TRACED_BLOCK:g}.",
            hint=f"Leave scale out, or block: scale={pairs['scale']} makes blocks of {from_scale}.",
        )
    return options.block


def _line(text: bytes, place: Place, decode: object) -> _Line:
    try:
        line: _Line = decode(text)  # type: ignore[operator]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        place.fail(f"this is no line of a Mooncake trace: {error}.", hint=f"A line is {_EXAMPLE}")
    expected = -(-line.input_length // TRACED_BLOCK)
    if len(line.hash_ids) != expected:
        place.fail(
            f"an input of {line.input_length} tokens has {len(line.hash_ids)} hash_ids. It must have {expected}, "
            f"one for each {TRACED_BLOCK} tokens."
        )
    return line


def _arrival(line: _Line, number: int, block: int, output_scale: float) -> Arrival:
    whole = len(line.hash_ids) - 1
    rest = scaled(line.input_length - whole * TRACED_BLOCK, block / TRACED_BLOCK)
    return Arrival(
        number,
        line.timestamp / 1000,
        keys=tuple(line.hash_ids),
        lengths=(block,) * whole + (rest,),
        output_tokens=scaled(line.output_length, output_scale),
    )

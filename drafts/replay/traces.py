"""Traces: one answer of the target per line, as token ids. Read strictly, because a skipped line is a wrong number."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from accounting.errors import ConfigError, MachineError

TokenId = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class Trace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One answer: the prompt after the chat template and what the target generated, both as token ids."""

    id: str
    label: str
    """The class that it is counted under: a workload or a category."""
    template: str = ""
    prompt_token_ids: Annotated[list[TokenId], msgspec.Meta(min_length=1)]
    output_token_ids: Annotated[list[TokenId], msgspec.Meta(min_length=1)]
    beyond_token_ids: list[TokenId] = []
    """What the target says behind the answer's end, where it was asked: drafts that reach over the end are judged by it."""
    model: str = ""
    finish_reason: str | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """At which it was sampled; 0 is greedy."""


def read_traces(path: Path) -> list[Trace]:
    """Every trace of a JSON Lines file, in its order; blank lines are left out.

    Raises:
        ConfigError: if a line is no trace (it is named by its number), an id comes twice, two models answered,
            or nothing is there.
        MachineError: if the file cannot be read.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror or error}.") from error
    decoder = msgspec.json.Decoder(Trace)
    traces: list[Trace] = []
    line_of: dict[str, int] = {}
    for number, line in enumerate(text.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            trace = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{path}, line {number} is no trace: {error}.",
                hint="A line is one JSON object with id, label, prompt_token_ids and output_token_ids "
                "(and template, beyond_token_ids, model, finish_reason, temperature where known).",
            ) from error
        if trace.id in line_of:
            raise ConfigError(
                f"{path}, line {number}: the id {trace.id!r} stands in line {line_of[trace.id]} already.",
                hint="Each answer is one independent unit of the interval: give each an id, and each once.",
            )
        if traces and trace.model != traces[0].model:
            raise ConfigError(
                f"{path}, line {number}: model {trace.model!r}, but the first trace is of {traces[0].model!r}.",
                hint="Token ids of two models do not mean the same: replay one file per model.",
            )
        line_of[trace.id] = number
        traces.append(trace)
    if not traces:
        raise ConfigError(f"{path} holds no trace.", hint="Write one JSON object per line, one per answer.")
    return traces


def write_traces(path: Path, traces: Iterable[Trace]) -> None:
    """Write the file whole, one trace a line: nobody ever finds half of it."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.writelines(msgspec.json.encode(trace) + b"\n" for trace in traces)
    partial.replace(path)

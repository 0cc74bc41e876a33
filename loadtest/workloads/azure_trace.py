"""How Azure's LLM inference traces of 2023 (code, conversation) and 2024 become arrivals.

CSV with the columns TIMESTAMP, ContextTokens, GeneratedTokens. The trace says nothing of shared prefixes:
every prompt is one block of its own, and a prefix cache can hit none of them.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from accounting.errors import ConfigError
from loadtest.workloads.json_lines import Place, file_bytes
from loadtest.workloads.name_options import as_said, checked_options
from loadtest.workloads.prompt import Workload
from loadtest.workloads.trace_prompts import Arrival, TraceOptions, scaled, stretch_of, trace_workload

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


def read_azure(path: Path, *, name: str, pairs: Mapping[str, str], seed: int) -> Workload:
    """The workload in an Azure trace.

    Raises:
        ConfigError: naming the option, or the line that is damaged.
    """
    options = checked_options(pairs, TraceOptions, origin=f"azure:{path}")
    raw = file_bytes(path, holds="the trace", hint="Give the path of an Azure trace in CSV.")
    rows = list(_rows(path, raw))
    if not rows:
        Place(path, 2).fail("the trace holds no request.")
    begin = min(at for _, at, _, _ in rows)
    arrivals = [
        Arrival(
            number,
            (at - begin).total_seconds(),
            keys=(number,),
            lengths=(scaled(context, options.scale),),
            output_tokens=scaled(generated, options.output_scale),
        )
        for number, at, context, generated in rows
    ]
    return trace_workload(
        stretch_of(arrivals, options, origin=str(path)),
        options,
        name=name,
        seed=seed,
        source=f"{path}, sha256 {hashlib.sha256(raw).hexdigest()}{as_said(pairs)}",
        about=path.name,
    )


def _rows(path: Path, raw: bytes) -> Iterator[tuple[int, datetime, int, int]]:
    """Line number, time, tokens in, tokens out."""
    try:
        reader = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        Place(path, line).fail("this is not valid UTF-8.", hint="Save the file as UTF-8.")
    header = next(reader, [])
    if sorted(header) != sorted(COLUMNS):
        raise ConfigError(
            f"{path}, line 1: the columns are {', '.join(header)[:80] or 'missing'}. An Azure trace has "
            f"{', '.join(COLUMNS)}.",
            hint="The multimodal traces of 2025 have other columns and are not read.",
        )
    order = [header.index(column) for column in COLUMNS]
    aware: bool | None = None
    for row in reader:
        place = Place(path, reader.line_num)
        if not row:
            continue
        if len(row) != len(COLUMNS):
            place.fail(f"the line has {len(row)} fields. It must have {len(COLUMNS)}.")
        at, context, generated = (row[index] for index in order)
        time = _time(at, place)
        if aware is None:
            aware = time.tzinfo is not None
        if aware != (time.tzinfo is not None):
            place.fail(f"TIMESTAMP {at!r} and the one on line 2 do not both name a time zone.")
        yield place.number, time, _tokens(context, COLUMNS[1], place), _tokens(generated, COLUMNS[2], place)


def _time(text: str, place: Place) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())  # to the microsecond: the trace's seventh digit is cut
    except ValueError:
        place.fail(f"TIMESTAMP {text!r} is no time. It is written as 2023-11-16 18:17:03.9799600.")


def _tokens(text: str, column: str, place: Place) -> int:
    if not (text.strip().isascii() and text.strip().isdigit()):
        place.fail(f"{column} {text!r} is no whole number of tokens.")
    return int(text)

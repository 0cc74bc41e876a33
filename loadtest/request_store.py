"""requests.parquet: one row per request, written and read in one place.

A load process writes JSON lines (`loadtest/record_spool.py`); at its end they become Parquet through DuckDB, in a
process of its own (`python -m loadtest.request_store LINES PARQUET`), because the load process must stay small.
Several processes' files are merged into one. Times are monotonic seconds; see the cell's file for their relation
to UTC.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from accounting.errors import LoadError
from accounting.records import Chunks, Outcome, Phase, RequestRecord
from loadtest.record_spool import CHUNK_COLUMNS, COLUMNS

_TIMES = ("intended_send_s", "sent_s", "end_s", "first_text_s")
_CONVERSION_MEMORY = "384MB"
_ROWS_AT_ONCE = 500


def convert_to_parquet(json_lines: Path, parquet: Path) -> None:
    """Turn a process's JSON lines into Parquet and remove them.

    Raises:
        LoadError: if the lines are missing or unreadable.
    """
    if not json_lines.exists():
        raise LoadError(f"the load generator left no records at {json_lines}")
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in (COLUMNS | CHUNK_COLUMNS).items())
    _copy(
        f"SELECT * FROM read_json(?, format='newline_delimited', columns={{{columns}}}, "
        "maximum_object_size=67108864)",
        [str(json_lines)],
        parquet,
    )
    json_lines.unlink()


def merge_parquets(parts: Sequence[tuple[Path, float]], parquet: Path) -> None:
    """One file of all processes' records, in the order of intended sends, on one clock.

    `parts` are (file, offset): seconds to take off the times of that file.

    Raises:
        LoadError: if a part is missing or unreadable.
    """
    selects = []
    for path, offset_s in parts:
        names = ", ".join(f"{name} - {offset_s!r} AS {name}" if name in _TIMES else name for name in COLUMNS)
        at_s = f"list_transform(chunk_at_s, lambda stamp: stamp - {offset_s!r}) AS chunk_at_s"
        rest = ", ".join(name for name in CHUNK_COLUMNS if name != "chunk_at_s")
        selects.append(f"SELECT {names}, {at_s}, {rest} FROM read_parquet('{_quoted(path)}')")
    _copy(" UNION ALL ".join(selects), [], parquet)


def _copy(query: str, parameters: list[str], parquet: Path) -> None:
    partial = parquet.with_suffix(".partial")
    try:
        with duckdb.connect() as connection:
            connection.execute(f"SET memory_limit='{_CONVERSION_MEMORY}'")
            connection.execute(f"SET temp_directory='{_quoted(parquet.parent / 'duckdb-spill')}'")
            connection.execute("SET threads=1")
            connection.execute("SET preserve_insertion_order=false")
            connection.execute(
                f"COPY ({query}) TO '{_quoted(partial)}' (FORMAT parquet, ROW_GROUP_SIZE 2048)", parameters
            )
    except duckdb.Error as error:
        raise LoadError(f"the load generator's records cannot be read: {error}") from error
    partial.replace(parquet)


def read_records(parquet: Path) -> list[RequestRecord]:
    """Read every record back, in the order of intended sends.

    Raises:
        LoadError: if the file is missing or damaged.
    """
    return sorted(iterate_records(parquet), key=lambda record: record.intended_send_s)


def iterate_records(parquet: Path) -> Iterator[RequestRecord]:
    """Record by record, in the file's order.

    Raises:
        LoadError: if the file is missing or damaged.
    """
    names = (*COLUMNS, *CHUNK_COLUMNS)
    with reading(parquet) as connection:
        cursor = connection.execute(f"SELECT {', '.join(names)} FROM read_parquet(?)", [str(parquet)])
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            for row in rows:
                yield _record(dict(zip(names, row, strict=True)))


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for all reading: its memory is taken from the system once. Files are read side by side, each by one thread."""
    return duckdb.connect(config={"threads": 1})


@contextmanager
def reading(parquet: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose errors are told as the file's."""
    try:
        with _database().cursor() as connection:
            yield connection
    except duckdb.BinderException as error:
        raise LoadError(
            f"{parquet} was written by an older kilotoken: {error}",
            hint="Its measures.json and report still hold; to evaluate it anew, use the version that measured it.",
        ) from error
    except duckdb.Error as error:
        raise LoadError(f"{parquet} cannot be read: {error}") from error


def _record(row: dict[str, Any]) -> RequestRecord:
    at_s, tokens, censored, lag_s = (row.pop(name) or [] for name in CHUNK_COLUMNS)
    chunks = Chunks(
        np.array(at_s, dtype=np.float64),
        np.array(tokens, dtype=np.int64),
        np.array(censored, dtype=np.bool_),
        np.array(lag_s, dtype=np.float32),  # null becomes NaN
    )
    phase, outcome = Phase(row.pop("phase")), Outcome(row.pop("outcome"))
    return RequestRecord(**row, phase=phase, outcome=outcome, chunks=chunks)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


if __name__ == "__main__":
    try:
        convert_to_parquet(Path(sys.argv[1]), Path(sys.argv[2]))
    except LoadError as error:
        sys.exit(error.message)

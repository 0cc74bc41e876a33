"""requests.parquet: one row per request, written and read in one place.

The load child writes records as JSON lines (it must not spend the server's cores on columns); the parent
turns them into Parquet through DuckDB. Times are monotonic seconds; see the cell's file for their relation
to UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from accounting.errors import LoadError
from accounting.records import Chunk, Outcome, Phase, RequestRecord

_COLUMNS = {
    "request_id": "VARCHAR",
    "phase": "VARCHAR",
    "stream": "INTEGER",
    "workload": "VARCHAR",
    "prompt_id": "VARCHAR",
    "template": "VARCHAR",
    "prompt_repeat": "INTEGER",
    "intended_send_s": "DOUBLE",
    "sent_s": "DOUBLE",
    "end_s": "DOUBLE",
    "outcome": "VARCHAR",
    "http_status": "INTEGER",
    "error": "VARCHAR",
    "finish_reason": "VARCHAR",
    "prompt_tokens": "BIGINT",
    "completion_tokens": "BIGINT",
    "token_ids_count": "BIGINT",
    "text_sha256": "VARCHAR",
    "clock": "VARCHAR",
    "first_text_s": "DOUBLE",
    "first_text_censored": "BOOLEAN",
    "chunks": "STRUCT(at_s DOUBLE, tokens BIGINT, censored BOOLEAN)[]",
}


def write_json_lines(records: Iterable[RequestRecord], path: Path) -> None:
    """Write records as JSON lines, whole or not at all."""
    encoder = msgspec.json.Encoder()
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_bytes(encoder.encode_lines(list(records)))
    partial.replace(path)


def convert_to_parquet(json_lines: Path, parquet: Path) -> None:
    """Turn the child's JSON lines into Parquet and remove them.

    Raises:
        LoadError: if the lines are missing or unreadable.
    """
    if not json_lines.exists():
        raise LoadError(f"the load generator left no records at {json_lines}")
    partial = parquet.with_suffix(".partial")
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in _COLUMNS.items())
    try:
        with duckdb.connect() as connection:
            connection.execute(
                f"COPY (SELECT * FROM read_json(?, format='newline_delimited', columns={{{columns}}}, "
                "maximum_object_size=1073741824) ORDER BY intended_send_s) "
                f"TO '{_quoted(partial)}' (FORMAT parquet)",
                [str(json_lines)],
            )
    except duckdb.Error as error:
        raise LoadError(f"the load generator's records cannot be read: {error}") from error
    partial.replace(parquet)
    json_lines.unlink()


def read_records(parquet: Path) -> list[RequestRecord]:
    """Read every record back, in the order of intended sends.

    Raises:
        LoadError: if the file is missing or damaged.
    """
    try:
        with duckdb.connect() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM read_parquet(?)", [str(parquet)]
            ).fetchall()
    except duckdb.Error as error:
        raise LoadError(f"{parquet} cannot be read: {error}") from error
    return [_record(dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def _record(row: dict[str, Any]) -> RequestRecord:
    chunks = tuple(Chunk(c["at_s"], c["tokens"], c["censored"]) for c in row.pop("chunks") or ())
    phase, outcome = Phase(row.pop("phase")), Outcome(row.pop("outcome"))
    return RequestRecord(**row, phase=phase, outcome=outcome, chunks=chunks)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")

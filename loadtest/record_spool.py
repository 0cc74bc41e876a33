"""Where a load process puts its records: one JSON line each, written when the request is over.

Not a list: an hour of records would fill the memory, and a crash would lose them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from accounting.records import RequestRecord

#: Every field of a record but its chunks, with its type in Parquet.
COLUMNS = {
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
    "worker": "INTEGER",
    "session": "VARCHAR",
    "turn": "INTEGER",
    "expected_tokens": "BIGINT",
    "unstamped_reads": "INTEGER",
    "retry_after_s": "DOUBLE",
}
# An answer's chunks, as lists of equal length: cumulative tokens (-1 unknown), lag null where unknown.
CHUNK_COLUMNS = {
    "chunk_at_s": "DOUBLE[]",
    "chunk_tokens": "BIGINT[]",
    "chunk_censored": "BOOLEAN[]",
    "chunk_lag_s": "FLOAT[]",
}


class RecordSpool:
    """An open file of records."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._file = path.open("wb", buffering=1 << 20)
        self._encode = msgspec.json.Encoder().encode

    def append(self, record: RequestRecord) -> None:
        """Add one record."""
        self._file.write(self._encode(_line(record)) + b"\n")
        self.count += 1

    def close(self) -> None:
        """Flush and close."""
        self._file.close()


def _line(record: RequestRecord) -> dict[str, Any]:
    chunks = record.chunks
    line = {name: getattr(record, name) for name in COLUMNS}
    line["chunk_at_s"] = chunks.at_s.tolist()
    line["chunk_tokens"] = chunks.tokens.tolist()
    line["chunk_censored"] = chunks.censored.tolist()
    line["chunk_lag_s"] = [round(lag, 7) for lag in chunks.lag_s.tolist()]  # NaN becomes null
    return line

"""requests.parquet as columns: read whole, a million requests in seconds, without an object for any of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from accounting.errors import LoadError
from accounting.record_columns import KERNEL, OUTCOMES, UNKNOWN, RecordColumns
from accounting.records import Chunks, Phase
from loadtest.request_store import reading

#: Nothing is NULL in what these select, so that every column comes as a plain array.
_ROWS = f"""
SELECT phase = '{Phase.MEASURED}' AS measured,
    list_position({[str(outcome) for outcome in OUTCOMES]}, outcome)::TINYINT - 1::TINYINT AS outcome,
    workload, prompt_id, prompt_repeat::BIGINT AS prompt_repeat, turn::BIGINT AS turn,
    intended_send_s, coalesce(sent_s, 'nan') AS sent_s, end_s,
    {", ".join(
        f"coalesce({name}::BIGINT, {UNKNOWN}) AS {name}"
        for name in ("http_status", "prompt_tokens", "completion_tokens", "token_ids_count", "expected_tokens")
    )},
    clock = '{KERNEL}' AS kernel_clock, coalesce(first_text_s, 'nan') AS first_text_s, first_text_censored,
    unstamped_reads::BIGINT AS unstamped_reads, coalesce(len(chunk_at_s), 0)::BIGINT AS events
FROM read_parquet(?)
"""  # fmt: skip
_EVENTS = """
SELECT at_s, tokens, censored, coalesce(lag_s, 'nan'::FLOAT) AS lag_s
FROM (SELECT unnest(chunk_at_s) AS at_s, unnest(chunk_tokens) AS tokens, unnest(chunk_censored) AS censored,
    unnest(chunk_lag_s) AS lag_s FROM read_parquet(?))
"""


def read_columns(parquet: Path) -> RecordColumns:
    """Read every record as columns, in the order of intended sends.

    Raises:
        LoadError: if the file is missing or damaged.
    """
    with reading(parquet) as connection:
        rows = _plain(connection.execute(_ROWS, [str(parquet)]).fetchnumpy(), parquet)
        events = _plain(connection.execute(_EVENTS, [str(parquet)]).fetchnumpy(), parquet)
    starts = np.concatenate(([0], np.cumsum(rows.pop("events"))))
    columns = RecordColumns(**rows, starts=starts, events=Chunks(**events))
    sends = columns.intended_send_s
    return columns if (sends[1:] >= sends[:-1]).all() else columns.take(np.argsort(sends, kind="stable"))


def _plain(columns: dict[str, Any], parquet: Path) -> dict[str, Any]:
    """Columns without gaps: a value that is missing or unknown would otherwise be read as another one."""
    gaps = [name for name, values in columns.items() if np.ma.is_masked(values)]
    if gaps:
        raise LoadError(f"{parquet} cannot be read: unknown or missing values in {', '.join(gaps)}")
    return {name: np.asarray(values) for name, values in columns.items()}

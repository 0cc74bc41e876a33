"""Does the client measure what was written? Scripted pauses, and a client that is kept from its work.

    python benchmarks/load_truth.py        one JSON document; some fifteen seconds

The server knows when it wrote each token, on the same CLOCK_MONOTONIC. It notes an instant just before it writes, so a
stamp lies a little after it: some ten microseconds, more when the scheduler comes between.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gevent
import numpy as np

from accounting.evidence import CellFacts
from accounting.load_summary import summarise
from accounting.records import Phase, RequestRecord
from loadtest.asking import Prompts
from loadtest.closed_streams import ClosedStreams
from loadtest.config import ClosedLoop, Output, Stages
from loadtest.event_loop import Alarm
from loadtest.exact_server import ExactServer, Written, scripted_model
from loadtest.load_spec_examples import load_spec
from loadtest.request_body import request_body
from loadtest.stages import Stage
from loadtest.streaming_client import Send, StreamingClient
from loadtest.worker import Worker
from loadtest.workloads import Message, Prompt, Split
from workbench.provenance import hardware, machine_sentence

TOKENS = 30
STREAMS, WINDOW_S = 8, 6.0
STALL_S, EVERY_S = 0.08, 1.0
FIRST_TOKEN_S = 0.05


def main() -> None:
    """Run both and print."""
    with tempfile.TemporaryDirectory(prefix="load-truth-") as cache, ExactServer(Path(cache)) as server:
        document = {
            "command": "python benchmarks/load_truth.py",
            "machine": machine_sentence(hardware()),
            "late_token": _late_token(server),
            "three_tokens_in_one_chunk": _three_tokens(server),
            "stalled_stream": _stalled_stream(server),
            "client_kept_busy": _kept_busy(server),
        }
    print(json.dumps(document, indent=2))


def _prompts(split: Split, count: int) -> list[Prompt]:
    return [Prompt(f"{split}-{i}", "chat", "t", split, (Message("user", "hi"),)) for i in range(count)]


def _ask(server: ExactServer, model: str, *, timeout_s: float = 30.0) -> tuple[RequestRecord, Written]:
    (prompt,) = _prompts(Split.MEASURED, 1)
    body = request_body(load_spec(model=model), prompt, max_tokens=TOKENS, exactly=True)
    kept: list[RequestRecord] = []
    with closing(StreamingClient(server.url, timeout_s=timeout_s)) as client:
        send = Send("1", Phase.MEASURED, 0, "chat", "p", "t", 0, time.monotonic(), body)
        client.run(send, kept.append)
    return kept[0], server.written()[-1]


def _distance_ms(record: RequestRecord, truth: Written) -> dict[str, float]:
    """Stamp minus write over the chunks that have an arrival of their own."""
    count = len(record.chunks)
    own = ~record.chunks.censored
    far = (record.chunks.at_s - np.array(truth.written_s[:count]))[own] * 1000
    return {"median": float(np.median(far)), "largest": float(np.max(np.abs(far)))}


def _late_token(server: ExactServer) -> dict[str, Any]:
    """Token 5 comes 700 ms late."""
    record, truth = _ask(server, scripted_model("late=5:700"))
    return {
        "gap_measured_ms": float(record.chunks.at_s[4] - record.chunks.at_s[3]) * 1000,
        "gap_written_ms": (truth.written_s[4] - truth.written_s[3]) * 1000,
        "stamp_minus_write_ms": _distance_ms(record, truth),
    }


def _three_tokens(server: ExactServer) -> dict[str, Any]:
    """Tokens 9 to 11 come in one event."""
    record, truth = _ask(server, scripted_model("chunk=9:3"))
    return {
        "tokens_per_chunk": np.diff(record.chunks.tokens, prepend=0).tolist(),
        "counts_agree": truth.tokens == tuple(record.chunks.tokens.tolist()),
        "stamp_minus_write_ms": _distance_ms(record, truth),
    }


def _stalled_stream(server: ExactServer) -> dict[str, Any]:
    """Nothing comes after token 6; the client's patience is one second."""
    record, truth = _ask(server, scripted_model("stall=6"), timeout_s=1.0)
    return {
        "outcome": str(record.outcome),
        "tokens_that_came": int(record.chunks.tokens[-1]),
        "ended_after_ms": (record.end_s - record.intended_send_s) * 1000,
        "stamp_minus_write_ms": _distance_ms(record, truth),
    }


def _kept_busy(server: ExactServer) -> dict[str, Any]:
    """Something in the client's process burns 80 ms of CPU every second."""
    spec = load_spec(
        base_url=server.url,
        model=scripted_model(),
        arrivals=ClosedLoop(STREAMS),
        output=Output("fixed", TOKENS),
        stages=Stages(warm_up_s=0.5, window_s=WINDOW_S, window_limit_s=WINDOW_S),
    )
    records: list[RequestRecord] = []
    by_phase = {Phase.WARM_UP: _prompts(Split.WARM_UP, 50), Phase.MEASURED: _prompts(Split.MEASURED, 200)}
    alarm = Alarm()
    worker = Worker(spec, Prompts(by_phase), alarm, index=0, sink=records.append)
    ClosedStreams(worker, ClosedLoop(STREAMS)).start(time.monotonic())
    burning = gevent.spawn(_burn)
    gevent.sleep(1.5)
    worker.stage, begin_s = Stage.WINDOW, time.monotonic()
    gevent.sleep(WINDOW_S)
    worker.stage, end_s = Stage.DRAIN, time.monotonic()
    while not worker.report().finished:
        gevent.sleep(0.05)
    burning.kill()
    alarm.close()
    document = summarise(records, begin_s, end_s, CellFacts(streams=STREAMS), minimum_window_s=WINDOW_S - 1)
    pairs = _paired(records, server.written())
    late_ms = np.abs([(r.chunks.at_s[-1] - w.written_s[-1]) * 1000 for r, w in pairs])
    return {
        "verdict": document["verdict"],
        "reason": document["reason"],
        "client_lag_ms": document["client_lag_ms"],
        "chunk_gap_ms": document["chunk_gap_ms"],
        "censored_share": document["censored_share"],
        "censored_chunks": int(sum(r.chunks.censored.sum() for r in records)),
        "answers_compared": len(pairs),
        "last_token_stamp_minus_write_ms": {
            "p50": float(np.median(late_ms)),
            "p90": float(np.quantile(late_ms, 0.9)),
            "largest": float(late_ms.max()),
        },
    }


def _burn() -> None:
    while True:
        gevent.sleep(EVERY_S - STALL_S)
        until_s = time.monotonic() + STALL_S
        while time.monotonic() < until_s:
            pass


def _paired(
    records: Sequence[RequestRecord], written: Sequence[Written]
) -> list[tuple[RequestRecord, Written]]:
    """Records with what the server says of the same answer, as far as it remembers: its first token is the same."""
    pairs = []
    for record in (r for r in records if r.ok and r.sent_s is not None):
        near = min(written, key=lambda w: abs(w.written_s[0] - record.chunks.at_s[0]))
        assert record.sent_s is not None
        same = near.received_s >= record.sent_s and near.written_s[0] - record.sent_s < 2 * FIRST_TOKEN_S
        if same and len(near.written_s) == len(record.chunks):
            pairs.append((record, near))
    return pairs


if __name__ == "__main__":
    main()

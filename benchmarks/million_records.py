"""One million request records to measures, cost, comparison and report: how long `kilotoken report` takes.

    python benchmarks/million_records.py --name 2-core-cpu        # results/million-records-2-core-cpu.json
    python benchmarks/million_records.py --records 20000 --keep DIR

Writes a run directory of two arms, four repeats each, with synthetic requests that reconcile to the token, as files that a
real run leaves (Parquet in the same row groups), and runs the command on it from a cold process, several times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from accounting import metric_names as names
from accounting.host_noise import HostSample
from loadtest.record_spool import CHUNK_COLUMNS, COLUMNS
from workbench.experiment import parse_experiment
from workbench.host_sampler import write_host_samples
from workbench.plan import BlockPlan, CellPlan, make_plan
from workbench.provenance import collect_provenance, hardware, machine_sentence
from workbench.run_directory import CellDirectory, RunDirectory, write_json

RESULTS = Path(__file__).parent / "results"
KILOTOKEN = str(Path(sys.executable).with_name("kilotoken"))
LIMIT_S = 5.0
WARM_UP_S, WINDOW_S, STREAMS = 5.0, 600.0, 256
EDGES = {
    "idle_before": -1.0,
    "window_start": WARM_UP_S,
    "window_end": WARM_UP_S + WINDOW_S,
    "idle_after": 2000.0,
}
EXPERIMENT = """
name: million-records
server: {model: fake-model, engine: {device: fake}}
arms: {plain: {}, other: {}}
workloads: [chat]
loads: {streams: [%d]}
output: {length: fixed, max_tokens: %d}
window: {minimum_s: 600, limit_s: 600}
repeats: 4
price: {usd_per_hour: 1.0, source: declared for a benchmark, as_of: 2026-11-26}
"""

#: Streams that ask again and again from one second apart to the end; every draw is a hash of the request's number.
REQUESTS = """
WITH drawn AS (
    SELECT i, (hash(i * 3 + $seed) % 10007) / 10007 AS u, (hash(i * 3 + 1 + $seed) % 10007) / 10007 AS v,
        (i / $streams) * $period_s AS at_s FROM range($requests) AS r(i)
), timed AS (
    SELECT *, 0.03 + 0.04 * u AS ttft_s, 0.7 * $period_s / $events * (0.9 + 0.2 * v) * $slower AS tpot_s FROM drawn
), events AS (
    SELECT *, list_transform(range($events), lambda k: at_s + ttft_s + k * tpot_s) AS chunk_at_s FROM timed
), requests AS (
    SELECT printf('%07d', i) AS request_id, if(at_s < $warm_up_s - 1, 'warm_up', 'measured') AS phase,
        (i % $streams)::INTEGER AS stream, 'chat' AS workload, 'chat-' || i AS prompt_id, 't' AS template,
        0 AS prompt_repeat, at_s AS intended_send_s, at_s + 0.0001 AS sent_s, chunk_at_s[-1] AS end_s, 'ok' AS outcome,
        200 AS http_status, '' AS error, 'length' AS finish_reason, 20 AS prompt_tokens, $events AS completion_tokens,
        NULL AS token_ids_count, sha256(i::VARCHAR) AS text_sha256, 'kernel' AS clock, chunk_at_s[1] AS first_text_s,
        false AS first_text_censored, 0 AS worker, '' AS session, 0 AS turn, $events AS expected_tokens,
        0 AS unstamped_reads, NULL AS retry_after_s, chunk_at_s, range(1, $events + 1) AS chunk_tokens,
        list_transform(range($events), lambda k: k % 97 = 96) AS chunk_censored,
        list_transform(range($events), lambda k: 0.0001 + 0.0001 * u) AS chunk_lag_s
    FROM events
)
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much a run holds: requests in all, stream events of each."""

    records: int
    events: int


def main() -> None:
    """Write the run, time the command, print and keep the figures; exit 1 above the limit."""
    arguments = _arguments()
    size = Size(arguments.records, arguments.events)
    with tempfile.TemporaryDirectory() as made:
        run = write_run(arguments.keep or Path(made) / "run", size)
        seconds = [_report_s(run) for _ in range(arguments.times)]
        document = _document(run, size, seconds)
    print(json.dumps(document, indent=2))
    if arguments.name:
        (RESULTS / f"million-records-{arguments.name}.json").write_text(json.dumps(document, indent=2) + "\n")
    sys.exit(int(document["median_s"] > LIMIT_S))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=16, help="stream events of each answer")
    parser.add_argument("--times", type=int, default=3, help="how often the command is run")
    parser.add_argument("--keep", type=Path, help="write the run here and leave it")
    parser.add_argument("--name", help="keep the figures as results/million-records-NAME.json")
    return parser.parse_args()


def _report_s(run: Path) -> float:
    started = time.perf_counter()
    subprocess.run([KILOTOKEN, "report", str(run)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _document(run: Path, size: Size, seconds: list[float]) -> dict[str, Any]:
    cells = json.loads((run / "measures.json").read_text())["cells"]
    return {
        "command": "python benchmarks/million_records.py " + " ".join(sys.argv[1:]),
        "machine": machine_sentence(hardware()),
        "records": size.records // len(cells) * len(cells),
        "events": size.records // len(cells) * len(cells) * size.events,
        "cells": len(cells),
        "reconciled": all(cell["reconciled"] for cell in cells),
        "verdicts": sorted({cell["verdict"]["throughput"] for cell in cells}),
        "parquet_bytes": sum(path.stat().st_size for path in run.glob("blocks/*/cells/*/requests.parquet")),
        "seconds": [round(s, 2) for s in seconds],
        "median_s": round(median(seconds), 2),
        "limit_s": LIMIT_S,
    }


def write_run(path: Path, size: Size) -> Path:
    """A finished run of that size, without its evaluation."""
    text = EXPERIMENT % (STREAMS, size.events)
    plan = make_plan(parse_experiment(text, origin="benchmark"))
    run = RunDirectory.create(path, text, plan, collect_provenance(sys.argv))
    for number, block in enumerate(plan.blocks):
        _write_block(run, block, number, Size(size.records // len(plan.blocks), size.events))
    return path


def _write_block(run: RunDirectory, block: BlockPlan, number: int, size: Size) -> None:
    directory = run.next_attempt(block)
    for name in ("command.json", "resolved.json"):
        write_json(directory.server / name, {})
    (cell,) = block.cells
    _write_cell(directory.cell(cell), cell, number, 1.0 + 0.02 * (block.arm == "other"), size)
    directory.write_status("finished", startup_s=1.0)


def _write_cell(directory: CellDirectory, cell: CellPlan, seed: int, slower: float, size: Size) -> None:
    directory.path.mkdir(parents=True)
    values = {
        "seed": seed * 1_000_003,
        "streams": cell.streams,
        "requests": size.records,
        "events": size.events,
        "period_s": (WARM_UP_S + WINDOW_S + 5.0) / (size.records / cell.streams),
        "slower": slower * (1.0 + 0.003 * (seed % 3)),
        "warm_up_s": WARM_UP_S,
    }
    columns = ", ".join(f"{name}::{kind} AS {name}" for name, kind in (COLUMNS | CHUNK_COLUMNS).items())
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY ({REQUESTS} SELECT {columns} FROM requests) TO '{directory.requests}' "
            "(FORMAT parquet, ROW_GROUP_SIZE 2048)",
            values,
        )
        for edge, at_s in EDGES.items():
            directory.metrics_page(edge).write_text(_page(connection, directory.requests, at_s))
        connection.execute(
            "COPY (SELECT 0.5 + i AS at_s, name, 250.0 AS value FROM range(610) AS r(i), "
            f"(SELECT unnest($names) AS name)) TO '{directory.counters}' (FORMAT parquet)",
            {"names": [names.REQUESTS_RUNNING, names.REQUESTS_WAITING, names.GENERATION_TOKENS]},
        )
    edges = {name: {"at_s": at_s, "uncertainty_s": 0.001} for name, at_s in EDGES.items()}
    write_json(directory.facts, {"edges": edges, "caches_reset": True, "metrics_error": ""})
    write_host_samples([_quiet_second(float(second)) for second in range(610)], directory.host)


def _page(connection: duckdb.DuckDBPyConnection, requests: Path, at_s: float) -> str:
    """What the server's counters say at an instant."""
    row = connection.execute(
        "SELECT sum(len(list_filter(chunk_at_s, lambda stamp: stamp < $at_s))), "
        "sum(if(intended_send_s < $at_s, prompt_tokens, 0)), "
        "sum((first_text_s < $at_s)::INTEGER) FROM read_parquet($path)",
        {"at_s": at_s, "path": str(requests)},
    ).fetchone()
    assert row is not None
    tokens, prompts, first = row
    counters = {
        names.GENERATION_TOKENS: tokens,
        names.PROMPT_TOKENS: prompts,
        names.FIRST_TOKENS: first,
        names.DECODE_STEPS: tokens - first,
    }
    lines = []
    for name, value in counters.items():
        kind, family = (
            ("counter", name.removesuffix("_total"))
            if name.endswith("_total")
            else ("histogram", name.removesuffix("_count"))
        )
        lines += [f"# TYPE {family} {kind}", f"{name} {value}"]
    return "\n".join(lines) + "\n"


def _quiet_second(at_s: float) -> HostSample:
    return HostSample(
        at_s=at_s, interval_s=1.0, cpus=2, busy_cpus=1.0, own_cpus=1.0, foreign_cpus=0.0, steal_cpus=0.0
    )


if __name__ == "__main__":
    main()

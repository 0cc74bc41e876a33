"""Is a load client right, and what does it cost? Ours and its peers against a server that knows its own lateness.

    python benchmarks/load_client.py [--name 2-core-cpu]       the table: all clients, interleaved, five repeats
    python benchmarks/load_client.py --soak 600                ten minutes of ours at 20,000 tokens/s: memory
    python benchmarks/load_client.py --profile                 where our client's time goes

TTFT 50 ms, one token each 20 ms, answers of 100 tokens; 100 streams (5,000 tokens/s) and 400 (20,000). An error is
what lies beyond the server's own lateness in the same run. Let nothing else run meanwhile: both cores are shared
with the server on purpose, and `other programs` says how much somebody else took.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.load_client_peers import (
    ANSWER_TOKENS,
    CLIENTS,
    WARM_UP_S,
    Client,
    Load,
    Said,
    child_environment,
    write_tokenizer,
)
from benchmarks.load_client_profile import ProfileOf, profile_lines
from benchmarks.load_client_table import print_soak, print_table
from benchmarks.load_client_watch import Watched, watch
from loadtest.exact_server import ExactServer, Lateness
from serving.models.cache import cache_root
from workbench.calibration import fingerprint
from workbench.provenance import hardware, machine_sentence
from workbench.run_directory import write_json

TTFT_MS, INTERVAL_MS = 50.0, 20.0
ANSWER_S = (TTFT_MS + (ANSWER_TOKENS - 1) * INTERVAL_MS) / 1000
RESULTS = Path(__file__).with_name("results")
LIMIT_FACTOR = 6.0
BUSY_LIMIT = 0.9  # of a core: what a client may use of it and still be on time

Row = dict[str, Any]


@contextmanager
def _prepared(cache: Path) -> Iterator[tuple[ExactServer, Path, Path]]:
    """A server, a scratch directory, and in that one for the client's own files."""
    with (
        tempfile.TemporaryDirectory(prefix="load-client-") as scratch,
        ExactServer(cache / "exact_server", ttft_ms=TTFT_MS, interval_ms=INTERVAL_MS) as server,
    ):
        directory = Path(scratch) / "client"
        directory.mkdir()
        yield server, Path(scratch), directory


def measured(client: Client, python: Path, streams: int, duration_s: float, cache: Path) -> Row:
    """One run of one client; with `not_measured` and the reason where it gave no result."""
    with _prepared(cache) as (server, scratch, directory):
        tokenizer = write_tokenizer(scratch / "tokenizer")
        load = Load(server.url, streams, duration_s, ANSWER_S, directory, tokenizer)
        log = scratch / "client.log"
        watched = watch(
            client.argv(python, load),
            child_environment(client),
            server,
            streams=streams,
            settle_s=WARM_UP_S,
            limit_s=60 + LIMIT_FACTOR * (duration_s + WARM_UP_S),
            log=log,
        )
        row: Row = {"client": client.name, "streams": streams, "duration_s": duration_s}
        try:
            said = client.said(load)
            assert watched.truth is not None
            return row | costs(watched, streams, duration_s) | errors(said, watched.truth)
        except (OSError, KeyError, ValueError, TypeError, AssertionError) as error:
            lines = log.read_text(errors="replace").strip().splitlines()
            last = next((line for line in reversed(lines) if line.strip(" │╰╯─")), "")
            return row | {
                "not_measured": f"status {watched.exit_code}, {type(error).__name__}: {error}; {last[:300]}"
            }


def errors(said: Said, truth: Lateness) -> Row:
    """How far a client's figures are from the server's truth."""
    first = truth.first_token_lateness_ms
    tpot_share = None if said.tpot_p50_ms is None else said.tpot_p50_ms / INTERVAL_MS - 1
    return {
        "ttft_p50_ms": said.ttft_p50_ms,
        "ttft_p99_ms": said.ttft_p99_ms,
        "ttft_p50_error_ms": _beyond(said.ttft_p50_ms, first.p50),
        "ttft_p99_error_ms": _beyond(said.ttft_p99_ms, first.p99),
        "tpot_p50_ms": said.tpot_p50_ms,
        "tpot_error_share": tpot_share,
        "tokens_per_s_said": said.tokens_per_s,
        "server_first_lateness_p99_ms": first.p99,
        "server_lateness_p99_ms": truth.token_lateness_ms.p99,
        "server_scheduling": truth.scheduling,
        "more": said.more,
    }


def _beyond(measured_ms: float | None, late_ms: float | None) -> float | None:
    return None if measured_ms is None or late_ms is None else measured_ms - TTFT_MS - late_ms


def costs(watched: Watched, streams: int, duration_s: float) -> Row:
    """What the client delivered and used, in the middle half of its measured phase."""
    start_s, end_s = watched.middle(duration_s)
    window_s = end_s - start_s
    tokens = watched.between(watched.tokens, start_s, end_s)
    client_s = watched.between(watched.client_cpu_s, start_s, end_s)
    server_s = watched.between(watched.server_cpu_s, start_s, end_s)
    foreign_s = watched.between(watched.busy_s, start_s, end_s) - client_s - server_s
    return {
        "delivered_share": tokens / window_s / (streams * ANSWER_TOKENS / ANSWER_S),
        "delivered_tokens_per_s": tokens / window_s,
        "client_cpu_s_per_1000_events": client_s / tokens * 1000,
        "events_per_s_per_core": BUSY_LIMIT * tokens / client_s,
        "client_cores": client_s / window_s,
        "server_cores": server_s / window_s,
        "other_programs_cores": max(foreign_s, 0.0) / window_s,
        "peak_rss_bytes": max(watched.rss_bytes),
    }


def compared(arguments: argparse.Namespace, cache: Path) -> Row:
    """All clients, interleaved: every repeat and load visits them in another order."""
    order = random.Random(arguments.seed)
    prepared: dict[str, Path | str] = {}
    chosen = [c for c in CLIENTS if not arguments.clients or c.name in arguments.clients]
    for client in chosen:
        prepared[client.name] = client.prepare(cache / "benchmark-peers")
    rows: list[Row] = []
    for repeat in range(arguments.repeats):
        for streams in arguments.streams:
            for client in order.sample(chosen, len(chosen)):
                python = prepared[client.name]
                row: Row = {"client": client.name, "streams": streams, "not_measured": python}
                if isinstance(python, Path):
                    row = measured(client, python, streams, arguments.duration, cache)
                rows.append({"repeat": repeat, **row})
                print(_line(rows[-1]), file=sys.stderr, flush=True)
    return {"rows": rows, "summary": summarised(rows)}


_SUMMARISED = (
    "ttft_p50_ms", "ttft_p99_ms", "ttft_p50_error_ms", "ttft_p99_error_ms", "tpot_error_share",
    "delivered_share", "client_cpu_s_per_1000_events", "events_per_s_per_core", "peak_rss_bytes",
    "server_first_lateness_p99_ms", "server_lateness_p99_ms", "other_programs_cores",
)  # fmt: skip


def summarised(rows: list[Row]) -> list[Row]:
    """Median and range over repeats, by load and client."""
    summary = []
    for streams, client in dict.fromkeys((row["streams"], row["client"]) for row in rows):
        own = [row for row in rows if (row["streams"], row["client"]) == (streams, client)]
        good = [row for row in own if "not_measured" not in row]
        entry: Row = {"streams": streams, "client": client, "repeats": len(good)}
        if len(good) < len(own):
            entry["not_measured"] = next(row["not_measured"] for row in own if "not_measured" in row)
        for name in _SUMMARISED:
            values = [row[name] for row in good if row.get(name) is not None]
            if values:
                entry[name] = {"median": median(values), "lowest": min(values), "highest": max(values)}
        summary.append(entry)
    return sorted(summary, key=lambda entry: entry["streams"])


def _line(row: Row) -> str:
    head = f"repeat {row['repeat'] + 1}, {row['streams']} streams, {row['client']}: "
    if "not_measured" in row:
        return head + f"not measured, because {row['not_measured']}"
    p50, p99 = (_number(row[name]) for name in ("ttft_p50_ms", "ttft_p99_ms"))
    return head + f"TTFT {p50} / {p99} ms, delivered {row['delivered_share']:.1%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def soaked(arguments: argparse.Namespace, cache: Path) -> Row:
    """Our client for a long time at the highest load: its memory, every half second."""
    client, streams, duration_s = CLIENTS[0], max(arguments.streams), arguments.soak
    python = client.prepare(cache)
    assert isinstance(python, Path)
    with _prepared(cache) as (server, scratch, directory):
        load = Load(server.url, streams, duration_s, ANSWER_S, directory, directory)
        watched = watch(
            client.argv(python, load),
            child_environment(client),
            server,
            streams=streams,
            settle_s=WARM_UP_S,
            limit_s=300 + 2 * duration_s,
            log=scratch / "client.log",
        )
        said = client.said(load)
        assert watched.truth is not None
    begun_s, ended_s = watched.middle(duration_s)
    begun_s, ended_s = begun_s - 0.2 * duration_s, ended_s + 0.2 * duration_s
    loaded = [
        (at_s - begun_s, rss)
        for at_s, rss in zip(watched.at_s, watched.rss_bytes, strict=False)
        if begun_s <= at_s <= ended_s
    ]
    third = len(loaded) // 3
    return {
        "streams": streams,
        "duration_s": duration_s,
        **costs(watched, streams, duration_s),
        **errors(said, watched.truth),
        "rss_while_loading_bytes": [
            [round(at_s, 1), rss] for at_s, rss in loaded[:: max(1, len(loaded) // 120)]
        ],
        "peak_while_loading_bytes": max(rss for _, rss in loaded),
        "peak_with_evaluation_bytes": max(watched.rss_bytes),
        "largest_process_bytes": max(watched.largest_rss_bytes),
        "growth_second_to_last_third_bytes": median(rss for _, rss in loaded[-third:])
        - median(rss for _, rss in loaded[third : 2 * third]),
    }


def profiled(arguments: argparse.Namespace, cache: Path) -> Row:
    """Our client under a sampling profiler at the highest load."""
    client, streams, duration_s = CLIENTS[0], max(arguments.streams), arguments.duration
    python = client.prepare(cache)
    assert isinstance(python, Path)
    with _prepared(cache) as (server, scratch, directory):
        profile = ProfileOf(cache / "benchmark-peers", scratch / "profile.txt", duration_s / 2)
        watch(
            client.argv(python, Load(server.url, streams, duration_s, ANSWER_S, directory, directory)),
            child_environment(client),
            server,
            streams=streams,
            settle_s=WARM_UP_S,
            limit_s=120 + 2 * duration_s,
            log=scratch / "client.log",
            on_poll=profile.poll,
        )
        return {"streams": streams, **profile.result()}


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--streams", type=int, nargs="+", default=[100, 400])
    parser.add_argument("--duration", type=float, default=20.0, help="seconds of measured load in each run")
    parser.add_argument("--clients", nargs="+", choices=[c.name for c in CLIENTS], help="all by default")
    parser.add_argument(
        "--soak", type=float, metavar="SECONDS", help="only ours, at the highest load: memory"
    )
    parser.add_argument("--profile", action="store_true", help="only ours: where the time goes")
    parser.add_argument("--seed", type=int, default=1, help="of the clients' order")
    parser.add_argument("--name", help="keep the result as results/load-client-...-NAME.json")
    arguments = parser.parse_args()
    cache = cache_root()
    kind = "soak" if arguments.soak else "profile" if arguments.profile else "peers"
    result = {"soak": soaked, "profile": profiled, "peers": compared}[kind](arguments, cache)
    document = {
        "benchmark": f"load-client-{kind}",
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_sentence(hardware()),
        "fingerprint": {name: getattr(fingerprint(1), name) for name in fingerprint(1).__struct_fields__},
        "server": {"ttft_ms": TTFT_MS, "interval_ms": INTERVAL_MS, "answer_tokens": ANSWER_TOKENS},
        **result,
    }
    {"soak": print_soak, "profile": profile_lines, "peers": print_table}[kind](document)
    if arguments.name:
        write_json(RESULTS / f"load-client-{kind}-{arguments.name}.json", document)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A long load under a small share of every fault: is each request that was scheduled one record, whatever happened to it?

    python benchmarks/fault_soak.py --minutes 30 --out DIR

Each of the fake server's situations gets its share of the requests, independently, so about half of all requests
meet one. Accounted for means: the schedule, made again from its seed, and the records have the same arrivals, each
exactly once; every record has one outcome; what the server says that it began is what the client says that it sent.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec

from accounting.records import Phase
from loadtest.arrivals import open_schedule, parse_rates
from loadtest.config import OpenLoop
from loadtest.request_store import iterate_records
from serving.fake_server.situations import SITUATIONS, script_of_all
from serving.free_port import free_port
from workbench.provenance import hardware, machine_sentence

# The huge event is a megabyte: at every hundredth request it would be the benchmark of something else.
LEFT_OUT = ("a megabyte in one event",)
SEED = 7


def main() -> None:
    """Run the soak and print the account as JSON; exit 1 if a request is missing or there twice."""
    arguments = _arguments()
    port, directory = free_port(), arguments.out
    directory.mkdir(parents=True)
    script = script_of_all(arguments.share, leave_out=LEFT_OUT)
    (directory / "faults.json").write_bytes(msgspec.json.encode(script.rules))
    server = [sys.executable, "-m", "serving.fake_server", "--port", str(port), "--ttft-s", "0.05"]
    server += ["--tpot-s", "0.01", "--max-concurrency", "4096", "--faults", str(directory / "faults.json")]
    with (
        (directory / "server.log").open("wb") as log,
        subprocess.Popen(server, stdout=log, stderr=log) as child,
    ):
        try:
            _wait(port)
            status = _load(port, directory, arguments)
        finally:
            child.terminate()
    account = _account(directory, arguments) | {"load_exit_status": status}
    print(json.dumps(account, indent=2))
    sys.exit(0 if account["each_arrival_exactly_once"] else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", default="20", help="requests per second")
    parser.add_argument("--share", type=float, default=0.01, help="of requests, for each situation")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def _wait(port: int) -> None:
    import time
    import urllib.error
    import urllib.request

    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the fake server did not start")


def _load(port: int, directory: Path, arguments: argparse.Namespace) -> int:
    argv = [sys.executable, "-m", "workbench.cli", "load", "--url", f"http://127.0.0.1:{port}"]
    argv += ["--rate", arguments.rate, "--arrivals", "poisson", "--duration", str(arguments.minutes * 60)]
    argv += ["--processes", str(arguments.processes), "--seed", str(SEED), "--timeout", "10"]
    argv += ["--output", "fixed:40", "--out", str(directory / "load"), "--json"]
    with (directory / "summary.json").open("wb") as summary:
        return subprocess.run(argv, stdout=summary, check=False).returncode


def _account(directory: Path, arguments: argparse.Namespace) -> dict[str, object]:
    records = list(iterate_records(directory / "load" / "requests.parquet"))
    measured = [r for r in records if r.phase is Phase.MEASURED]
    begin_s = min(r.intended_send_s for r in measured)
    last_s = max(r.intended_send_s for r in measured)
    loop = OpenLoop(parse_rates(arguments.rate), 1.0)
    schedule = open_schedule(loop, seed=SEED, until_s=last_s - begin_s + 60.0)
    offset_s = begin_s - float(schedule[0])
    due = [float(at) + offset_s for at in schedule if at + offset_s <= last_s + 1e-6]
    numbers = Counter(r.stream for r in measured)
    by_number = sorted(measured, key=lambda r: r.stream)
    return {
        "command": f"python benchmarks/fault_soak.py --minutes {arguments.minutes:g}",
        "machine": machine_sentence(hardware()),
        "situations": len(SITUATIONS) - len(LEFT_OUT),
        "share_of_each": arguments.share,
        "minutes": (last_s - begin_s) / 60,
        "scheduled": len(due),
        "records": len(measured),
        "warm_up_records": len(records) - len(measured),
        "each_arrival_exactly_once": sorted(numbers) == list(range(len(due)))
        and set(numbers.values()) == {1},
        "largest_distance_from_schedule_s": max(
            abs(r.intended_send_s - at) for r, at in zip(by_number, due, strict=False)
        ),
        "distinct_request_ids": len({r.request_id for r in records}) == len(records),
        "by_outcome": dict(sorted(Counter(str(r.outcome) for r in measured).items())),
        "by_status": dict(sorted(Counter(str(r.http_status) for r in measured).items())),
        "output_tokens": sum(r.completion_tokens or 0 for r in measured),
        "with_an_error_text": sum(bool(r.error) for r in measured if not r.ok)
        == sum(not r.ok for r in measured),
    }


if __name__ == "__main__":
    main()

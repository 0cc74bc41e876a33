"""A slice of a Mooncake trace on a real vLLM: what its prefix cache hit, against what the trace's hash ids imply.

    python benchmarks/mooncake_prefix_hits.py TRACE.jsonl --out DIR > RESULT.json

Three servers of SmolLM2-135M, one after the other, each loaded through the commands that anybody types:

- roomy: every block of the slice fits. Replayed; hits must equal those of an endless cache, to the token.
- tight: fewer blocks than the slice has. Replayed, so requests overlap and hold blocks that the one-by-one model has free: the
  difference is what overlapping costs, or brings. A trace whose times are multiples of 3 s has bursts, and who of a
  burst comes first decides what is evicted: `order_within_bursts` says how far the one-by-one model moves with it.
- tight, one by one: the same cache and requests in the same order, each after the answer before it. Hits must equal
  the model of a cache of that size, to the token.

One hash id (512 traced tokens) becomes one KV block of 32; answers are scaled, for a CPU. Counters are read idle to
idle, so that no window's edge cuts what waits there. No warm-up is sent, except the one request with which a closed
loop begins: it has no block in common with the slice, and is counted on both sides.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accounting.records import RequestRecord
from loadtest.config import read_spec
from loadtest.request_store import read_records
from loadtest.workloads import Prompt, load_workload
from loadtest.workloads.prefix_hits import implied_hit_share
from workbench.provenance import hardware, machine_sentence

BLOCK_TOKENS = 32
# SmolLM2-135M in bf16: layers, K and V, KV heads, head size, bytes.
BYTES_PER_BLOCK = 30 * 2 * 3 * 64 * 2 * BLOCK_TOKENS
ORDERS = 200  # random orders within bursts
KILOTOKEN = str(Path(sys.executable).with_name("kilotoken"))


@dataclass(frozen=True, slots=True)
class Case:
    """One server and one load."""

    name: str
    roomy: bool
    one_by_one: bool
    must_equal: str | None  # which implied count the hits must equal to the token


CASES = (
    Case("roomy", roomy=True, one_by_one=False, must_equal="implied_hit_tokens"),
    Case("tight", roomy=False, one_by_one=False, must_equal=None),
    Case("tight, one by one", roomy=False, one_by_one=True, must_equal="implied_at_capacity_hit_tokens"),
)


def main() -> None:
    """Run the cases and print the document; exit 1 if hits that must be equal are not."""
    arguments = _arguments()
    arguments.out.mkdir(parents=True)
    cases = [_run(case, arguments) for case in CASES if case.name in (arguments.only or [case.name])]
    wrong = [case["name"] for case in cases if case["as_it_must_be"] is False]
    document = {
        "command": f"python benchmarks/mooncake_prefix_hits.py {arguments.trace.name} --out DIR",
        "machine": machine_sentence(hardware()),
        "options": {
            name: value for name, value in vars(arguments).items() if name not in ("trace", "out", "only")
        },
        "trace": {
            "file": arguments.trace.name,
            "sha256": hashlib.sha256(arguments.trace.read_bytes()).hexdigest(),
        },
        "not_as_it_must_be": wrong,
        "cases": cases,
    }
    print(json.dumps(document, indent=2))
    sys.exit(1 if wrong else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trace", type=Path, help="a Mooncake trace, JSON lines")
    parser.add_argument("--start-s", type=float, default=1650.0, help="the slice, in seconds of the trace")
    parser.add_argument("--requests", type=int, default=150)
    parser.add_argument("--output-scale", type=float, default=0.02)
    parser.add_argument("--speed", type=float, default=0.25)
    parser.add_argument("--roomy-blocks", type=int, default=3_500, help="more than the slice has")
    parser.add_argument("--tight-blocks", type=int, default=800, help="fewer; at least 257 for the context")
    parser.add_argument("--only", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--out", type=Path, required=True, help="new directory for logs and records")
    return parser.parse_args()


def _run(case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    directory: Path = arguments.out / case.name.replace(", ", "-").replace(" ", "-")
    directory.mkdir()
    blocks = arguments.roomy_blocks if case.roomy else arguments.tight_blocks
    config = {
        "model": {"name": "smollm2-135m-instruct", "max_model_len": 8192},
        "engine": {"enforce_eager": True},
        "batching": {"max_num_seqs": 16},
        "kv_cache": {"block_size": BLOCK_TOKENS, "kv_cache_memory_bytes": blocks * BYTES_PER_BLOCK},
    }
    options = (
        f"block={BLOCK_TOKENS}&start_s={arguments.start_s:g}&limit={arguments.requests}"
        f"&output_scale={arguments.output_scale:g}&vocab=49152"
    )
    if case.one_by_one:
        load = ["--streams", "1", "--requests", str(arguments.requests), "--output", "fixed"]
        load += ["--endpoint", "completions", "--workload"]
    else:
        load = ["--speed", f"{arguments.speed:g}", "--trace"]
    common = ["--warm-up", "0", "--timeout", "900"]
    with _served(config, directory) as url:
        command = [KILOTOKEN, "load", "--url", url, *common, *load, f"mooncake:{arguments.trace}?{options}"]
        command += ["--out", str(directory / "load"), "--json"]
        subprocess.run(command, stdout=subprocess.PIPE, check=True)
    named = [
        "kilotoken",
        "load",
        "--url",
        "URL",
        *common,
        *load,
        f"mooncake:{arguments.trace.name}?{options}",
    ]
    return _account(case, directory / "load", config, " ".join(named))


@contextmanager
def _served(config: dict[str, Any], directory: Path) -> Iterator[str]:
    (directory / "server.yaml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML, too
    command = [KILOTOKEN, "serve", "server.yaml", "--port", "0"]
    with subprocess.Popen(command, cwd=directory, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stderr is not None
            said = ""
            for line in child.stderr:
                said += line
                if found := re.search(r"at (http://127\.0\.0\.1:\d+)/v1", line):
                    break
            else:
                raise SystemExit(f"the server did not start:\n{said}")
            yield found[1]
        finally:
            child.send_signal(signal.SIGTERM)


def _account(case: Case, directory: Path, config: dict[str, Any], command: str) -> dict[str, Any]:
    measured = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
    hits = measured["prefix_hits"]
    achieved = hits["hit_tokens"]
    return {
        "name": case.name,
        "command": command,
        "server": config,
        "vllm": measured["server"]["version"],
        "description": measured["load"]["description"],
        "synthetic": measured["load"]["synthetic"],
        "prefix_hits": hits,
        "achieved_less_endless_tokens": achieved - hits["implied_hit_tokens"],
        "achieved_less_model_of_this_size_tokens": achieved - hits["implied_at_capacity_hit_tokens"],
        "order_within_bursts": None if case.roomy or case.one_by_one else _over_orders(directory, hits),
        "must_equal": case.must_equal,
        "as_it_must_be": None if case.must_equal is None else achieved == hits[case.must_equal],
        "queried_equals_prompt_tokens": hits["queried_tokens"] == hits["prompt_tokens"],
        "reconciliation": measured["reconciliation"],
        "accounted": measured["accounted"],
        **{
            name: measured[name]
            for name in ("window_s", "output_tokens_per_s", "ttft_ms", "tpot_ms", "verdict", "reason")
        },
        "window_prompt_tokens": measured["server"]["prompt_tokens"],
        "window_prefix_cache_hit_share": measured["server"]["prefix_cache_hit_share"],
        "window_preemptions": measured["server"]["preemptions"],
        "arrivals_sent_share": None if measured["arrivals"] is None else measured["arrivals"]["share_sent"],
    }


def _over_orders(directory: Path, hits: dict[str, Any]) -> dict[str, Any]:
    """Hits of the one-by-one model of this cache, over random orders of the requests that arrived at one instant."""
    spec = read_spec(directory / "load.json")
    prompts = {p.prompt_id: p for p in load_workload(spec.workload, seed=spec.workload_seed).prompts}
    records = read_records(directory / "requests.parquet")
    found = []
    for seed in range(ORDERS):
        order = _shuffled_bursts(records, prompts, random.Random(seed))
        share = implied_hit_share(order, block_tokens=BLOCK_TOKENS, capacity_blocks=hits["capacity_blocks"])
        found.append(share.hit_tokens)
    return {
        "bursts": len({prompts[r.prompt_id].at_s for r in records}),
        "orders": ORDERS,
        "lowest_hit_tokens": min(found),
        "highest_hit_tokens": max(found),
    }


def _shuffled_bursts(
    records: list[RequestRecord], prompts: dict[str, Prompt], rng: random.Random
) -> list[Prompt]:
    order = list(records)
    rng.shuffle(order)
    order.sort(key=lambda record: prompts[record.prompt_id].at_s or 0.0)
    return [replace(prompts[r.prompt_id], output_tokens=r.completion_tokens) for r in order]


if __name__ == "__main__":
    main()

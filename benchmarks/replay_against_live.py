"""Does replay say what a live server counts? Acceptance length of ngram (k = 1..8) and suffix, predicted and measured.

    python benchmarks/replay_against_live.py --name 2-core-cpu [--prompts 60] [--tokens 64] [--work DIR]

Answers of the unspeculated target are collected once, replayed for each drafter, and their prompts put to a server with
that drafter, in the order of the traces: one at a time for suffix, whose cache grows with each; for ngram, whose drafts
follow from the request's own tokens, a few at a time. Both are held against the server's own counters. What is done
already stays in DIR; the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.replay_against_live_server import (
    BEYOND,
    CLASSES,
    DTYPE,
    MAX_MODEL_LEN,
    Row,
    collected,
    measured,
    running,
    written,
)
from drafts.replay.ngram import NgramWindow
from drafts.replay.suffix import SuffixSettings
from drafts.replay.traces import Trace
from workbench.provenance import collect_provenance, machine_sentence
from workbench.replay_command import replayed
from workbench.run_directory import write_json

WINDOW = NgramWindow(2, 4)
KS = list(range(1, 9))
SUFFIX_K = SuffixSettings().k
NGRAM_STREAMS = 4
TARGET = 0.1
SPEED_ROUNDS = 10
RESULTS = Path(__file__).with_name("results")


def arms() -> list[Row]:
    """What is replayed and served: method, k, the server's section, requests in flight."""
    ngram = {"method": "ngram", "prompt_lookup_min": WINDOW.shortest, "prompt_lookup_max": WINDOW.longest}
    made = [
        {
            "method": "ngram",
            "k": k,
            "section": ngram | {"num_speculative_tokens": k},
            "streams": NGRAM_STREAMS,
        }
        for k in KS
    ]
    suffix = {"method": "suffix", "num_speculative_tokens": SUFFIX_K}
    return [*made, {"method": "suffix", "k": SUFFIX_K, "section": suffix, "streams": 1}]


def predictions(path: Path) -> dict[tuple[str, int], list[Row]]:
    """(method, k) -> replayed rows: all, then each class."""
    documents = [
        replayed(path, WINDOW, KS, MAX_MODEL_LEN),
        replayed(path, SuffixSettings(), [SUFFIX_K], MAX_MODEL_LEN),
    ]
    found: dict[tuple[str, int], list[Row]] = {}
    for document in documents:
        for row in document["rows"]:
            found.setdefault((document["method"], row["k"]), []).append(row)
    return found


def speeds(path: Path, traces: Sequence[Trace]) -> list[Row]:
    """Answer tokens a minute of one core's time, from the file to the document."""
    tokens = sum(len(trace.output_token_ids) for trace in traces)
    cases: list[tuple[str, Any, list[int]]] = [
        ("ngram, k 4", WINDOW, [4]),
        ("ngram, k 1..8 at once", WINDOW, KS),
        (f"suffix, k {SUFFIX_K}", SuffixSettings(), [SUFFIX_K]),
    ]
    rows = []
    for name, drafter, ks in cases:
        began = time.process_time()
        for _ in range(SPEED_ROUNDS):
            replayed(path, drafter, ks, MAX_MODEL_LEN)
        spent_s = time.process_time() - began
        rows.append({"replay": name, "answer_tokens_per_minute": 60 * tokens * SPEED_ROUNDS / spent_s})
    return rows


def compared(arm: Row, live: Sequence[Row], known: Sequence[Row], blind: Sequence[Row]) -> list[Row]:
    """Per class: replay with and without what lies behind the answers' ends, the counters, the difference."""
    rows = []
    by_label = [{row["label"]: row for row in predicted} for predicted in (known, blind)]
    for row in live:
        predicted, without_end = (of[row["label"]]["acceptance_length"]["value"] for of in by_label)
        rows.append(
            {"method": arm["method"], "k": arm["k"], "label": row["label"]}
            | {
                "predicted": predicted,
                "measured": row["acceptance_length"],
                "difference": difference(predicted, row["acceptance_length"]),
                "predicted_without_end": without_end,
                "predicted_drafts": by_label[0][row["label"]]["drafts"],
                "predicted_tokens_per_step": by_label[0][row["label"]]["tokens_per_step"]["value"],
                "predicted_by_position": by_label[0][row["label"]]["by_position"],
                "live": row,
            }
        )
    return rows


def difference(predicted: float | None, counted: float | None) -> float | None:
    """Predicted minus counted; None where neither drafted anything, infinite where only one did."""
    if predicted is None and counted is None:
        return None
    return math.inf if predicted is None or counted is None else predicted - counted


def print_table(document: Row) -> None:
    """One line per drafter and class."""
    print(f"{'drafter':<12}{'class':<8}{'predicted':>13}{'measured':>13}{'difference':>13}"
          f"{'end unknown':>13}{'drafts':>16}{'same answers':>15}")  # fmt: skip
    for row in document["rows"]:
        live = row["live"]
        lengths = (row[key] for key in ("predicted", "measured", "difference", "predicted_without_end"))
        shown = [f"{'-' if length is None else format(length, '.3f'):>13}" for length in lengths]
        print(f"{row['method'] + ' ' + str(row['k']):<12}{row['label'] or 'all':<8}{''.join(shown)}"
              f"{row['predicted_drafts']:>8} {live['drafts']:>7.0f}{live['same_answers']:>9} of {live['answers']}")  # fmt: skip
    print(f"largest difference {document['largest_difference']:.3f}, asked for at most {TARGET}")
    for row in document["speed"]:
        print(f"{row['replay']}: {row['answer_tokens_per_minute']:,.0f} answer tokens a minute on one core")


def main() -> None:
    """Collect, replay, serve, compare; exit 1 where a difference exceeds the target."""
    arguments = _arguments()
    work = arguments.work or Path(tempfile.mkdtemp(prefix="replay-against-live-"))
    work.mkdir(parents=True, exist_ok=True)
    print(f"working in {work}", flush=True)
    path, traces, document = collected(work, arguments.prompts, arguments.tokens, sys.argv)
    blind = [msgspec.structs.replace(trace, beyond_token_ids=[]) for trace in traces]
    known, without_end = predictions(path), predictions(written(work / "without-end.jsonl", blind))
    rows: list[Row] = []
    for arm in arms():
        name = f"{arm['method']}-{arm['k']}"
        kept = work / f"{name}.json"
        if not kept.exists():
            print(f"serving {name}", flush=True)
            with running(arm["section"], work / f"{name}.log") as server:
                write_json(kept, measured(server, traces, arguments.tokens, arm["streams"]))
        key = (arm["method"], arm["k"])
        rows += compared(arm, json.loads(kept.read_text()), known[key], without_end[key])
    settings = [
        "--name",
        str(arguments.name),
        "--prompts",
        str(arguments.prompts),
        "--tokens",
        str(arguments.tokens),
    ]
    provenance = collect_provenance(["benchmarks/replay_against_live.py", *settings])
    result = {
        "command": provenance["command"],
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_sentence(provenance["hardware"]),
        "versions": provenance["versions"],
        "git": provenance["git"],
        "model": document["model"],
        "dtype": DTYPE,
        "classes": CLASSES,
        "prompts_per_class": arguments.prompts,
        "most_tokens": arguments.tokens,
        "tokens_asked_beyond": BEYOND,
        "ngram_window": [WINDOW.shortest, WINDOW.longest],
        "requests_in_flight": {"ngram": NGRAM_STREAMS, "suffix": 1},
        "asked_for_at_most": TARGET,
        "largest_difference": max(abs(row["difference"]) for row in rows if row["difference"] is not None),
        "rows": rows,
        "speed": speeds(path, traces),
    }
    print_table(result)
    if arguments.name:
        write_json(RESULTS / f"replay-against-live-{arguments.name}.json", result)
    sys.exit(0 if result["largest_difference"] <= TARGET else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", help="write results/replay-against-live-NAME.json")
    parser.add_argument("--prompts", type=int, default=60, help="of each class")
    parser.add_argument("--tokens", type=int, default=64, help="longest answer")
    parser.add_argument("--work", type=Path, help="where traces, logs and what is measured stay")
    return parser.parse_args()


if __name__ == "__main__":
    main()

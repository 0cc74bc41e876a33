"""Does replay say what a live server counts of a draft? Acceptance by position at k = 1 to 5, predicted and measured.

    python benchmarks/drafts_against_live.py --name 2-core-cpu [--draft NAME --target NAME] [--work DIR]

Without --draft, of every draft that ships. The server with the draft answers held-out prompts; its counters are held against
the replay of those same answers (`workbench/drafting/live.py`, which `kilotoken draft check` uses too). Finished lives in DIR
are kept. Exit 1 where a position differs by more than 3 points.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving.models.zoo import zoo_draft, zoo_names
from workbench.drafting.live import ALLOWED, LiveAsk, live_against_replay
from workbench.models import resolve_model
from workbench.provenance import collect_provenance, machine_sentence
from workbench.run_directory import write_json

RESULTS = Path(__file__).with_name("results")
KS = range(1, 6)
DTYPE = "bfloat16"
Row = dict[str, Any]


def main() -> None:
    """Serve what is missing, compare, show, keep."""
    given = _arguments()
    work = given.work or Path(tempfile.mkdtemp(prefix="drafts-against-live-"))
    work.mkdir(parents=True, exist_ok=True)
    pairs = (
        [(given.draft, given.target)]
        if given.draft
        else [(name, zoo_draft(name).target) for name in zoo_names()]
    )
    rows = [_row(draft, target, k, given, work) for draft, target in pairs for k in KS]
    largest = max(abs(one["difference"]) for row in rows for one in row["positions"])
    print(f"largest difference {100 * largest:.1f} points, {100 * ALLOWED:.0f} are allowed")
    if given.name:
        provenance = collect_provenance(sys.argv)
        facts = {
            "command": provenance["command"], "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine_sentence(provenance["hardware"]), "versions": provenance["versions"],
            "git": provenance["git"], "dtype": DTYPE, "largest_difference": largest, "allowed": ALLOWED, "rows": rows,
        }  # fmt: skip
        write_json(RESULTS / f"drafts-against-live-{given.name}.json", facts)
    sys.exit(int(largest > ALLOWED))


def _row(draft: str, target: str, k: int, given: argparse.Namespace, work: Path) -> Row:
    kept = work / f"{draft.replace('/', '-')}-{k}.json"
    if not kept.is_file():
        print(f"serving {draft}, k {k}", flush=True)
        write_json(kept, {"draft": draft, "target": target} | _measured(draft, target, k, given, work))
    row: Row = json.loads(kept.read_text())
    print(f"{draft:<32} k {k}  AL {row['acceptance_length_replayed']:.3f} replayed, {row['acceptance_length']:.3f} counted  "
          + "  ".join(f"{one['replay']:.3f}/{one['live']:.3f}" for one in row["positions"]), flush=True)  # fmt: skip
    return row


def _measured(draft: str, target: str, k: int, given: argparse.Namespace, work: Path) -> Row:
    served = (
        Path(resolve_model(name, base_dir=Path(), report=lambda *_: None, tokenizer_needed=False).served_from)
        for name in (draft, target)
    )
    ask = LiveAsk(tuple(given.workload), given.prompts, given.tokens)
    return live_against_replay(
        *served, k=k, ask=ask, dtype=DTYPE, log=work / f"{k}.log", say=lambda _text: None
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", help="write results/drafts-against-live-NAME.json")
    parser.add_argument("--draft", help="a draft of your own; with --target")
    parser.add_argument("--target", help="its target")
    parser.add_argument("--workload", nargs="+", default=["chat", "copy", "story"])
    parser.add_argument("--prompts", type=int, default=30, help="of each workload")
    parser.add_argument("--tokens", type=int, default=64, help="longest answer")
    parser.add_argument("--work", type=Path, help="where logs and what is measured stay")
    given = parser.parse_args()
    if bool(given.draft) != bool(given.target):
        parser.error("--draft and --target go together")
    return given


if __name__ == "__main__":
    main()

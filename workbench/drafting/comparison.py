"""The experiment that says what a draft is worth: its target alone against its target with it, one stream, unseen prompts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accounting.prices import Price
from loadtest.workloads import Split, load_workload
from loadtest.workloads.catalogue import relocated
from serving.models.catalogue import name_anywhere
from workbench.drafting.time_budget import REPEATS
from workbench.run_directory import RunDirectory, write_json

Document = dict[str, Any]
_METHODS = {"distil": "draft_model", "eagle3": "eagle3"}


def comparable(workloads: Sequence[str], *, seed: int) -> tuple[str, ...]:
    """The workloads that keep prompts for training, warm-up and measuring apart: a file without marks is spent."""
    kept = []
    for name in workloads:
        workload = load_workload(name, seed=seed)
        if all(workload.of(split) for split in (Split.TRAIN, Split.WARM_UP, Split.MEASURED)):
            kept.append(name)
    return tuple(kept)


def write_comparison_experiment(
    path: Path,
    *,
    target: str,
    kind: str,
    draft: Path,
    k: int,
    workloads: Sequence[str],
    price: Price | None,
    seed: int,
    max_model_len: int,
) -> None:
    """Write the file; as JSON, which YAML is a superset of. Paths become absolute: an experiment's own are its file's."""
    priced = price or Price(
        1.0,
        "no price was given: one dollar an hour, so that ratios hold and dollars do not",
        datetime.now(UTC).date(),
    )
    section = {"method": _METHODS[kind], "model": str(draft), "num_speculative_tokens": k}
    document = {
        "name": "draft-comparison",
        "question": f"Does the draft {draft.name} make tokens of {target} cheaper at one stream?",
        "server": {
            "model": {"name": name_anywhere(target, base_dir=Path.cwd()), "max_model_len": max_model_len},
            "batching": {"max_num_seqs": 8},
            "kv_cache": {"enable_prefix_caching": False},
            "engine": {"enforce_eager": True},
        },
        "arms": {"alone": {}, "draft": {"speculation": section}},
        "workloads": [relocated(name, lambda path: str(Path(path).resolve())) for name in workloads],
        "loads": {"streams": [1]},
        "output": {"max_tokens": 64},
        "window": {"minimum_s": 25, "warm_up_s": 2},
        "repeats": REPEATS,
        "seed": seed,
        "price": {
            "usd_per_hour": priced.usd_per_hour, "source": priced.source, "as_of": priced.as_of.isoformat(),
        },
        "slo": {"ttft_s": None, "tpot_s": 1.0, "attainment_floor": 0.95},
    }  # fmt: skip
    write_json(path, document)


def comparison_rows(run: Path) -> list[Document]:
    """What the run found of the draft, a row for each workload, with its losslessness beside it."""
    directory = RunDirectory.open(run)
    lossless = run / "losslessness" / "draft.json"
    words = json.loads(lossless.read_text(encoding="utf-8"))["judgements"] if lossless.is_file() else []
    said = "; ".join(f"{row['dtype']}: {row['word']}" for row in words) or "not asked"
    return [row | {"losslessness": said} for row in directory.read_json("comparison.json")["comparisons"]]

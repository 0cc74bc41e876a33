"""The proof of a plan: vLLM's own defaults, the plan, and the best policy without a schedule, each at its own capacity, in paired blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accounting.prices import Price
from loadtest.workloads.catalogue import relocated
from workbench.experiment import merge_sections

Document = dict[str, Any]
DEFAULT, PLAN, STATIC = "default", "plan", "static"
#: Fewer pairs have no word.
REPEATS = 4


def proof_experiment(
    document: Mapping[str, Any],
    server: Mapping[str, Any],
    *,
    workloads: Sequence[str],
    budget_h: float | None,
    highest: int,
    price: Price | None,
    base_dir: Path,
) -> Document:
    """The experiment as a file holds it.

    Args:
        document: of the plan.
        server: how the profile served the target.
        workloads: on which it is to be proved.
        budget_h: hours; a budget that does not cover the pairs is refused before anything starts.
        highest: most streams that are tried.
        base_dir: of the paths in `workloads`.
    """
    priced = price or Price(1.0, "no price was given: ratios hold, dollars do not", datetime.now(UTC).date())
    slo = {name: value for name, value in document["slo"].items() if name == "attainment_floor" or value}
    # What is not said has a default here.
    slo |= {name: None for name in ("ttft_s", "tpot_s") if not document["slo"][name]}
    capacity = {"by": document["by"], **_bounds(document, highest)}
    return {
        "name": "proof",
        "question": f"Does {document['chosen']['name']} cost less than vLLM's defaults within the SLO?",
        "arms": _arms(document, server),
        "workloads": [relocated(name, lambda path: str((base_dir / path).resolve())) for name in workloads],
        "loads": {"capacity": capacity},
        "output": {"max_tokens": document["longest_answer"]},
        "window": {"minimum_s": 25},
        "repeats": REPEATS,
        **({"budget": {"hours": budget_h}} if budget_h else {}),
        "price": {
            "usd_per_hour": priced.usd_per_hour, "source": priced.source, "as_of": priced.as_of.isoformat(),
        },
        "slo": slo,
    }  # fmt: skip


def _arms(document: Mapping[str, Any], server: Mapping[str, Any]) -> Document:
    """The default is what a model alone makes vLLM do."""
    arms: Document = {DEFAULT: {"model": server.get("model", {})}, PLAN: dict(document["server"])}
    if document["schedule"]:
        static = next(row for row in document["candidates"] if not row["schedule"])
        arms[STATIC] = merge_sections(server, static["sections"])
    return arms


def _bounds(document: Mapping[str, Any], highest: int) -> Document:
    if document["by"] == "streams":
        return {"lowest": 1, "highest": highest}
    load = document["chosen"]["load"]
    return {"lowest": load / 16, "highest": load * 2}


def mixed_workload(mix: Mapping[str, float]) -> str:
    """The traffic's classes as one workload: `chat*0.75+copy*0.25`, a class alone by its name."""
    return (
        "+".join(f"{label}*{share:.4g}" for label, share in mix.items()) if len(mix) > 1 else next(iter(mix))
    )


def proof_sentence(rows: Sequence[Mapping[str, Any]], *, schedule: bool) -> str:
    """What the comparison said of the plan, and whether a schedule may be served."""
    own = [row for row in rows if row["arm"] == PLAN]
    words = {row["workload"]: row["word"] for row in own}
    said = "; ".join(
        f"on {row['workload']} {row['word']}"
        + ("" if row["cost_ratio"] is None else f", {row['cost_ratio']:.3f} of the default's cost")
        for row in own
    )
    good = bool(words) and all(word == "cheaper" for word in words.values())
    ending = "" if good or not schedule else " Do not serve the schedule: take `static`, or the default."
    return f"The plan against vLLM's defaults: {said or 'no pair is valid'}.{ending}"

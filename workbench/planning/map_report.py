"""A crossover map as a page: what was measured and predicted, as the page's input contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accounting.planning.drafting_yield import OFF
from dashboards.map_data import MapData, MapPoint
from dashboards.map_page import render_map
from workbench.provenance import machine_sentence

Document = Mapping[str, Any]


def write_map_page(path: Path, document: Document, profile: Document) -> None:
    """Write the page whole.

    Args:
        document: the map.
        profile: the document of the profile that it was made from.
    """
    partial = path.with_suffix(".partial")
    partial.write_text(render_map(map_data(document, profile)), encoding="utf-8")
    partial.replace(path)


def map_data(document: Document, profile: Document) -> MapData:
    """What the page shows."""
    holds, rows = profile["holds_for"], document["rows"]
    price = document["price"]
    facts = [("Machine", machine_sentence(holds["machine"])), ("Measured", profile["measured_at"])]
    if price is not None:
        facts.append(
            ("Price", f"${price['usd_per_hour']:g} per hour ({price['source']}, as of {price['as_of']})")
        )
    return MapData(
        title=f"Where drafting pays: {holds['target']['name']}",
        lead=_lead(rows),
        facts=tuple(facts),
        baseline=OFF,
        arms=[OFF, *dict.fromkeys(row["arm"] for row in rows)],
        points=[_point(row, load) for row in rows for load in row["loads"]],
    )


def _lead(rows: list[Document]) -> str:
    best = max(
        (
            (load["measured_ratio"], row, load)
            for row in rows
            for load in row["loads"]
            if load["measured_ratio"]
        ),
        key=lambda one: one[0],
        default=None,
    )
    if best is None:
        return "No drafter was measured beside no drafting."
    ratio, row, load = best
    where = f"{row['arm']} on {row['workload']} at {load['streams']} streams"
    if ratio <= 1:
        return f"No drafter paid at any load: the best, {where}, gave {ratio:.2f} times the tokens of none."
    return f"The most was {ratio:.2f} times the tokens of no drafting: {where}."


def _point(row: Document, load: Document) -> MapPoint:
    low, high = load["predicted_interval"]
    return MapPoint(
        arm=row["arm"],
        workload=row["workload"],
        streams=load["streams"],
        measured=load["measured_tokens_per_s"],
        predicted=load["predicted_tokens_per_s"],
        interval=(low, high),
        measured_ratio=load["measured_ratio"],
        predicted_ratio=load["predicted_ratio"],
        tokens_per_step=row["tokens_per_step"],
        break_even=load["break_even_tokens_per_step"],
        ratio_at_best=load["ratio_at_best"],
        factors=tuple((factor["cause"], factor["factor"]) for factor in load["factors"]),
    )

"""What a profile's directory says: step costs, and of each arm and workload what drafting yielded, requests' lengths, tokens per second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accounting.errors import RunError
from accounting.planning.drafting_yield import OFF
from workbench.planning.crossover_map import MapInputs, MapPoint
from workbench.planning.measured_yields import measured_shape, measured_yield
from workbench.planning.step_cost_file import cost_of, read_step_cost
from workbench.run_directory import RunDirectory

Document = dict[str, Any]
Row = Mapping[str, Any]


def map_inputs(directory: Path) -> MapInputs:
    """Everything that the map is made of; windows that were left out of the fit are left out here.

    Raises:
        RunError: if it is no profile, or damaged.
    """
    document = read_step_cost(directory)
    arms = document["arms"]
    used = {(window["arm"], window["workload"], window["streams"]) for window in document["windows"]}
    by_arm: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in RunDirectory.open(directory / document["run"]).read_json("measures.json")["cells"]:
        if (row["arm"], row["workload"], row["streams"]) in used:
            by_arm[row["arm"], row["workload"]].append(row)
    by_workload: dict[str, list[Row]] = defaultdict(list)
    for (_, workload), rows in by_arm.items():
        by_workload[workload] += rows
    if not by_arm:
        raise RunError(
            f"{directory} has no window that counts.", hint="`kilotoken profile --again` makes it anew."
        )
    return MapInputs(
        cost=cost_of(document),
        yields={place: measured_yield(rows, **arms[place[0]]) for place, rows in by_arm.items()},
        shapes={workload: _shape(rows, arms) for workload, rows in by_workload.items()},
        points=[_point(row, arms[row["arm"]]) for rows in by_arm.values() for row in rows],
    )


def _shape(rows: list[Row], arms: Mapping[str, Document]) -> Any:
    """Requests of the server that does not draft, where it was measured: all arms are asked the same."""
    plain = [row for row in rows if arms[row["arm"]]["drafter"] == OFF]
    return measured_shape(plain or rows)


def _point(row: Row, arm: Mapping[str, Any]) -> MapPoint:
    return MapPoint(
        arm=row["arm"],
        drafter=arm["drafter"],
        k=arm["k"],
        workload=row["workload"],
        streams=row["streams"],
        tokens_per_s=row["output_tokens_per_s"],
    )

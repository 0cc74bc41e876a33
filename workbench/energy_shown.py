"""What the terminal and the report say of the cells' energy: joules per 1000 output tokens, or why there are none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from workbench.energy_measures import older_run

Cell = dict[str, Any]


def energy_lines(cells: Sequence[Cell]) -> list[str]:
    """Of cells in measures.json or `show --json`: a line of joules for each set of devices that was measured, a line for
    each note, and one of why the others have none.
    """
    energies = [(cell, cell.get("energy") or older_run()) for cell in cells]
    known = [(cell, energy) for cell, energy in energies if energy["joules_per_1k_output_tokens"] is not None]
    missing = [energy for _, energy in energies if energy["joules_per_1k_output_tokens"] is None]
    lines = []
    for covers in dict.fromkeys(" and ".join(energy["covers"]) for _, energy in known):
        alike = [(cell, energy) for cell, energy in known if " and ".join(energy["covers"]) == covers]
        lines.append(f"Joules per 1k output tokens ({covers} alone): {_by_place(alike)}.")
    lines += [f"Energy: {note}." for note in dict.fromkeys(e["note"] for _, e in known if e["note"])]
    if missing:
        where = f" in {len(missing)} of {len(cells)} cells" if known else ""
        reasons = "; ".join(dict.fromkeys(str(energy["reason"]) for energy in missing))
        lines.append(f"Joules per token not measured{where}, because {reasons}.")
    return lines


def energy_line(energy: dict[str, Any]) -> str:
    """Of one load: its joules, or why there are none."""
    joules = energy["joules_per_1k_output_tokens"]
    if joules is None:
        return f"joules per token not measured, because {energy['reason']}"
    note = f" ({energy['note']})" if energy["note"] else ""
    return f"{_three_digits(joules)} joules per 1k output tokens of the {' and '.join(energy['covers'])} alone{note}"


def _by_place(cells: Sequence[tuple[Cell, dict[str, Any]]]) -> str:
    """`chat at 1 stream: plain 812, ngram 640 to 655`, of each arm the lowest and the highest repeat."""
    values: dict[str, dict[str, list[float]]] = {}
    for cell, energy in cells:
        place = values.setdefault(f"{cell['workload']} at {cell['load']}", {})
        place.setdefault(cell["arm"], []).append(energy["joules_per_1k_output_tokens"])
    return "; ".join(
        f"{place}: {', '.join(f'{arm} {_span(joules)}' for arm, joules in arms.items())}"
        for place, arms in values.items()
    )


def _span(joules: Sequence[float]) -> str:
    lowest, highest = _three_digits(min(joules)), _three_digits(max(joules))
    return lowest if lowest == highest else f"{lowest} to {highest}"


def _three_digits(value: float) -> str:
    decimals = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 2
    return f"{value:,.{decimals}f}"

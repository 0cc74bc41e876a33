"""A comparison as a person reads it on the terminal."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from workbench.quality.shown import quality_lines

DASH = "–"
COLUMNS = ("metric", "workload", "load", "arm", "ratio", "interval", "word")


def compare_table(document: dict[str, Any]) -> Group:
    """The table, the noise floor, the cells left out, the resolved difference, what deciding would cost."""
    paired = document["design"] == "paired"
    title = (
        f"Ratios to {document['against']}, paired"
        if paired
        else f"Ratios to {document['against_run']}, unpaired"
    )
    shared = f"; intervals hold for {document['family']} arms together" if document["family"] > 1 else ""
    parts: list[Any] = [_rows(title + shared, document["comparisons"], paired=paired)]
    if document["same_arms"]:
        parts.append(
            _rows(
                "A/A floor: the same configuration twice", document["same_arms"], paired=True, adjusted=False
            )
        )
    elif paired:
        parts.append(Text("No A/A floor: no two arms are the same configuration.", style="dim"))
    parts += [Text(f"  {line}", style="dim") for line in _not_measured(document["comparisons"])]
    parts += [Text(f"Note: {note}.") for note in document["notes"]]
    parts += [Text(f"  {line}", style="dim") for line in _left_out(document["cells_not_valid"])]
    parts += [Text(line) for line in _differences(document["resolved_differences"])]
    if (quality := quality_lines(document["quality"])) is not None:
        parts.append(quality)
    parts.append(Text(_deciding(document["deciding"])))
    return Group(*parts)


def _rows(title: str, rows: list[dict[str, Any]], *, paired: bool, adjusted: bool = True) -> Table:
    """`adjusted`: p-values are those of all arms together (Holm); twins of the floor stand each for itself."""
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    p_values = ("p Holm" if adjusted else "p", "p sign-flip")
    for name in (*COLUMNS, *p_values, "shown within margin" if paired else "blocks"):
        shown.add_column(name)
    for row in rows:
        interval = DASH if row["interval"] is None else "{:.3f} to {:.3f}".format(*row["interval"])
        shown.add_row(
            row["title"],
            row["workload"],
            row["load"],
            row["arm"],
            _number(row["ratio"]),
            interval,
            row["word"],
            _number(row["p_holm"] if adjusted else row["p_value"]),
            _number(row["sign_flip_p"]),
            _margin(row["margin"]) if paired else " and ".join(map(str, row["blocks"])),
        )
    return shown


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}"


def _margin(margin: dict[str, Any]) -> str:
    return f"{'yes' if margin['shown'] else 'no'}, {margin['margin']:.3g}"


def _not_measured(rows: list[dict[str, Any]]) -> list[str]:
    """Why a ratio is missing, once per metric: the first place stands for the others."""
    missing = [row for row in rows if row["ratio"] is None]
    first = {row["title"]: row for row in reversed(missing)}
    return [
        f"{title}: not measured on {row['workload']} at {row['load']}, because "
        f"{next(iter(row['left_out']), row['reason'])}"
        for title, row in reversed(first.items())
    ]


def _left_out(cells: list[dict[str, Any]]) -> list[str]:
    """Cells whose throughput is not valid, one a line; those that lack only tails are counted."""
    lines, tails = [], 0
    for cell in cells:
        word = cell["verdict"]["throughput"]
        if word == "valid":
            tails += 1
            continue
        place = f"{cell['arm']}, {cell['workload']}, {cell['load']}, repeat {cell['repeat']}"
        lines.append(f"left out: {place} is {word} ({cell['reason']})")
    if tails:
        lines.append(
            f"{tails} cells are valid in throughput, not in tails or acceptance; `--json` gives each reason"
        )
    return lines


def _differences(by_arm: dict[str, Any]) -> list[str]:
    lines = []
    for arm, rows in by_arm.items():
        if rows is None:
            lines.append(f"{arm}: what the engines resolved is not recorded.")
        elif rows:
            listed = ", ".join(f"{r['field']} {r['against']} -> {r['arm']}" for r in rows)
            lines.append(f"{arm} resolved otherwise: {listed}")
        else:
            lines.append(f"{arm}: the engines resolved the same settings.")
    return lines


def _deciding(deciding: dict[str, Any]) -> str:
    if "reason" in deciding:
        return f"To decide: {deciding['reason']}."
    unknown = deciding["unknown_rows"]
    rest = f" Of {unknown} more rows it is not known: they have no two valid pairs." if unknown else ""
    if deciding["more_pairs"] == 0:
        return (
            f"Where nothing is decided, pairs are enough to find a change of {deciding['effect']:.1%} in "
            f"{deciding['metric']} in 80 % of tries.{rest}"
        )
    return (
        f"To find a change of {deciding['effect']:.1%} in {deciding['metric']} in 80 % of tries: "
        f"{deciding['more_pairs']} more pairs, {deciding['hours']:.2f} h, ${deciding['usd']:.2f}: estimated from measured "
        f"blocks and the upper 80 % limit of the pairs' spread; with the spread as seen "
        f"{_number_of_pairs(deciding['more_pairs_as_seen'])}.{rest}"
    )


def _number_of_pairs(count: int | None) -> str:
    return "the number is not known" if count is None else f"{count} more pairs"

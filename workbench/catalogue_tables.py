"""How the catalogues of prices and devices look on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from workbench.catalogue_document import PRODUCT
from workbench.price_rows import NOT_STATED
from workbench.show import DASH
from workbench.titled_table import titled_table

#: Columns of a terminal from which on a list has room for sources.
_WIDE = 145
#: The same for other columns; those that are not here always stay.
_LEAST_WIDTH = {"sold_in": 126, "region": 126, "basis": 104, "commitment": 88}
#: Section -> title, and the columns between the id and the date: key and heading.
_PRICES: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "price": (
        "USD/device-hour: rent, electricity included",
        (
            ("device", "device"),
            ("usd_per_hour", "USD/h"),
            ("sold_in", "sold in"),
            ("region", "region"),
            ("commitment", "commitment"),
            ("basis", "basis"),
        ),
    ),
    "electricity": (
        "Electricity, for boxes that are owned",
        (("usd_per_kwh", "USD/kWh"), ("region", "region"), ("commitment", "of"), ("basis", "basis")),
    ),
    "pue": (
        "PUE: what a building takes for each joule of its machines",
        (("ratio", "ratio"), ("region", "region"), ("basis", "basis")),
    ),
    "api": (
        "APIs",
        (
            ("model", "model"),
            ("usd_per_1m_input", "USD/1M input"),
            ("usd_per_1m_cached", "cached"),
            ("usd_per_1m_output", "output"),
            ("region", "region"),
            ("basis", "basis"),
        ),
    ),
}
_DEVICE_COLUMNS = (
    ("memory_gib", "GiB"),
    ("bandwidth_gb_per_s", "GB/s"),
    ("bfloat16", "bf16"),
    ("fp8", "fp8"),
    ("int8", "int8"),
    ("float32", "fp32"),
    ("link_gb_per_s", "link GB/s"),
    ("board_watts", "W"),
)


def prices_table(document: Mapping[str, Any], *, width: int) -> RenderableType:
    """All sections that have rows, on a terminal of that width. Sources are whole only where a word chose the rows."""
    shown: list[RenderableType] = [_section(document, name, width) for name in _PRICES if document[name]]
    rows = [row for name in _PRICES for row in document[name]]
    if not shown:
        return Text("No price says that; `kilotoken prices` lists all.")
    stale = sum(row["warning"] is not None for row in rows)
    if stale:
        days = document["stale_after_days"]
        shown.append(Text(f"{stale} rows are older than {days} days: look them up again.", style="yellow"))
    if document["filter"] is None:
        shown.append(Text("`kilotoken prices ID` shows a row with its whole source.", style="dim"))
    else:
        shown += [Text(f"{row['id']}: {_source(row)}", style="dim") for row in rows]
    shown.append(Text(f"Your own rows go into {document['user_file']}", style="dim"))
    return Group(*shown)


def devices_table(document: Mapping[str, Any]) -> RenderableType:
    """One row per device."""
    if not document["device"]:
        return Text("No device says that; `kilotoken devices` lists all.")
    table = titled_table("Devices: memory, bandwidth, dense TFLOPS by format, link, power")
    table.add_column("device", no_wrap=True)
    for _, heading in _DEVICE_COLUMNS:
        table.add_column(heading, justify="right")
    table.add_column("as of", no_wrap=True)
    table.add_column("source", overflow="fold", style="dim")
    for row in document["device"]:
        figures = row | row["tflops"]
        values = [number(figures[key]) for key, _ in _DEVICE_COLUMNS]
        table.add_row(escape(row["name"]), *values, row["as_of"], escape(_source(row)))
    return Group(table, Text(f"Your own rows go into {document['user_file']}", style="dim"))


def _section(document: Mapping[str, Any], name: str, width: int) -> Table:
    title, columns = _PRICES[name]
    columns = tuple(column for column in columns if width >= _LEAST_WIDTH.get(column[0], 0))
    with_source = document["filter"] is None and width >= _WIDE
    table = titled_table(title)
    table.add_column("id", no_wrap=True)
    for key, heading in columns:
        figure = key.startswith(("usd", "ratio", "sold"))
        table.add_column(heading, justify="right" if figure else "left", no_wrap=True)
    table.add_column("as of", no_wrap=True)
    table.add_column("days", justify="right", no_wrap=True)
    if with_source:
        table.add_column("source", style="dim")
    for row in document[name]:
        values = [_value(key, row[key]) for key, _ in columns]
        source = [Text(_source(row), no_wrap=True, overflow="ellipsis")] if with_source else []
        table.add_row(escape(row["id"]), *values, *_age(row), *source)
    return table


def _value(key: str, value: Any) -> str:
    if key.startswith("usd") and value is not None:
        return amount(value)
    if isinstance(value, int | float):
        return number(value)
    return DASH if value in (None, NOT_STATED) else escape(value)


def amount(usd: float) -> str:
    """Dollars as the list says them: no digit lost, at least two decimals."""
    whole, _, decimals = f"{usd:.6f}".rstrip("0").partition(".")
    return f"{whole}.{decimals:0<2}"


def number(value: float | None) -> str:
    """A figure without superfluous digits; a dash for one that is not stated."""
    return DASH if value is None else f"{value:g}"


def _age(row: Mapping[str, Any]) -> tuple[str, str]:
    """Date and days since, in yellow where that is long ago."""
    style = "" if row["warning"] is None else "[yellow]"
    return f"{style}{row['as_of']}", f"{style}{row['age_days']}"


def _source(row: Mapping[str, Any]) -> str:
    own = "" if row["file"] == PRODUCT else "yours: "
    return f"{own}{row['source']}"

"""What `kilotoken prices --json` and `kilotoken devices --json` say: the rows that a word is in, with their age and file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from workbench.catalogue_rows import Row
from workbench.device_catalogue import DeviceRow, Devices
from workbench.nearest_names import spelled
from workbench.price_catalogue import SECTIONS, Prices
from workbench.price_dates import STALE_AFTER_DAYS
from workbench.price_rows import CataloguePrice, PriceRow

#: What says of a row that it comes with kilotoken; a user's row says its file.
PRODUCT = "kilotoken"


def prices_document(prices: Prices, word: str | None, *, today: date, path: Path) -> dict[str, Any]:
    """Rows by section; `path` is the user's file, or where it would be."""
    return {
        "today": today.isoformat(),
        "filter": word,
        "stale_after_days": STALE_AFTER_DAYS,
        "user_file": str(path),
        **{
            section: [
                _price(row, today, _file(row, prices.own, path))
                for row in prices.of(model)
                if word is None or _has(word, _words(row, prices.devices))
            ]
            for section, model in SECTIONS.items()
        },
    }


def devices_document(devices: Devices, word: str | None, *, path: Path) -> dict[str, Any]:
    """Rows; `path` is the user's file, or where it would be."""
    return {
        "user_file": str(path),
        "device": [
            row.model_dump(mode="json") | {"file": _file(row, devices.own, path)}
            for row in devices.rows.values()
            if word is None or _has(word, _device_words(row))
        ],
    }


def _price(row: PriceRow, today: date, file: str) -> dict[str, Any]:
    return row.model_dump(mode="json") | {
        "age_days": row.age_days(today),
        "warning": row.age_warning(today),
        "file": file,
    }


def _file(row: Row, own: frozenset[str], path: Path) -> str:
    return str(path) if row.key in own else PRODUCT


def _words(row: PriceRow, devices: Devices) -> Iterable[str]:
    """Everything that is said in words, and the device's other names."""
    yield from (str(value) for value in row.model_dump().values() if isinstance(value, str))
    if isinstance(row, CataloguePrice) and row.device is not None:
        yield from devices.rows[row.device].aliases


def _device_words(row: DeviceRow) -> Iterable[str]:
    return (*row.spellings, row.source)


def _has(word: str, words: Iterable[str]) -> bool:
    return any(spelled(word) in spelled(one) for one in words)

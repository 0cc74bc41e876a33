"""Reads the rows of a catalogue from TOML: strictly, naming section and row, saying what is allowed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from accounting.errors import ConfigError
from serving.section import Section
from workbench.config_messages import config_error, suggestion


def _as_date(value: Any) -> Any:
    """Accept a date in quotes as well."""
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("a day is written YYYY-MM-DD") from None


Words = Annotated[str, Field(pattern=r"\S")]
Amount = Annotated[float, Field(gt=0)]
Day = Annotated[date, BeforeValidator(_as_date)]


class Row(Section):
    """What every row says: a name that no other row has, where its figures come from and when."""

    named_by: ClassVar[str] = "id"

    source: Words
    """Where the figures come from: a page, a data sheet, an invoice, or 'declared for this example'."""
    as_of: Day
    """Day on which the source said so, as YYYY-MM-DD; no dollars without a date."""

    @property
    def key(self) -> str:
        """The name."""
        return str(getattr(self, self.named_by))


R = TypeVar("R", bound=Row)


def rows_of(text: str, models: Mapping[str, type[R]], *, origin: str, hint: str) -> dict[str, R]:
    """Rows by name; `models` says which sections a file has, and what a row of each is.

    Raises:
        ConfigError: naming file, section and row, what is allowed and what to do.
    """
    rows: dict[str, R] = {}
    for section, entries in _sections(text, models, origin, hint).items():
        for number, entry in enumerate(entries, 1):
            row = _row(entry, models[section], _place(origin, section, number, entry), hint)
            if row.key in rows:
                raise ConfigError(
                    f"{origin}: {row.key!r} names two rows.", hint="Give each row a name of its own."
                )
            rows[row.key] = row
    return rows


def _sections(
    text: str, models: Mapping[str, type[R]], origin: str, hint: str
) -> dict[str, list[dict[str, Any]]]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin} is not valid TOML: {error}.", hint=hint) from error
    for name, entries in data.items():
        if name not in models:
            raise ConfigError(f"{origin}: unknown section {name!r}{suggestion(name, models)}.", hint=hint)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ConfigError(
                f"{origin}: {name!r} is not a list of rows.", hint=f"Begin each row with [[{name}]]."
            )
    return data


def _row(entry: dict[str, Any], model: type[R], where: str, hint: str) -> R:
    try:
        return model.model_validate(entry)
    except ValidationError as error:
        raise ConfigError(config_error(error, model, origin=where).message, hint=hint) from error


def _place(origin: str, section: str, number: int, entry: Mapping[str, Any]) -> str:
    """How messages name a row: by number, and by name where it has one."""
    name = entry.get("id", entry.get("name"))
    return f"{origin}: [[{section}]] {number}" + (f" ({name})" if isinstance(name, str) else "")

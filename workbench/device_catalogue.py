"""The dated table of devices: the product's, and the user's rows over it. A name or an alias gives a device of the estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from accounting.errors import ConfigError
from accounting.estimate.device import Device
from accounting.estimate.weight_bytes import Format
from serving.section import Section, as_tuple
from workbench.catalogue_files import DEVICES, user_file, user_text
from workbench.catalogue_rows import Amount, Row, Words, rows_of
from workbench.nearest_names import nearest_sentence, spelled

GIB = 2**30
GB = 1e9
TERA = 1e12


class Tflops(Section):
    """10^12 dense operations a second; a format that is left out is computed as bfloat16."""

    bfloat16: Amount
    """With 16-bit weights."""
    fp8: Amount | None = None
    """With 8-bit floating-point weights and activations."""
    int8: Amount | None = None
    """With 8-bit integer weights and activations."""
    float32: Amount | None = None
    """With 32-bit weights, without TF32."""


class DeviceRow(Row):
    """One device as its maker states it. Units as sheets print them."""

    named_by: ClassVar[str] = "name"

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")]
    """Short name, letters, digits, dots and dashes."""
    aliases: Annotated[tuple[Words, ...], BeforeValidator(as_tuple)] = ()
    """Other names, as drivers print them."""
    memory_gib: Amount
    """Memory as the maker states it, GiB."""
    usable_gib: Amount | None = None
    """Memory that the driver shows, GiB, where it is less; estimates use it."""
    bandwidth_gb_per_s: Amount
    """Memory bandwidth, 10^9 bytes a second."""
    tflops: Tflops
    """Dense operations by format, 10^12 a second: half of what sheets print with sparsity."""
    link_gb_per_s: Amount | None = None
    """To its neighbours, both directions and all links together, 10^9 bytes a second."""
    board_watts: Amount | None = None
    """The most that the board is made for, W."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.usable_gib is not None and self.usable_gib > self.memory_gib:
            raise ValueError(
                f"usable_gib ({self.usable_gib:g}) cannot be above memory_gib ({self.memory_gib:g}): the driver shows "
                "no more than there is"
            )
        return self

    @property
    def spellings(self) -> tuple[str, ...]:
        """Name and aliases."""
        return (self.name, *self.aliases)

    def to_device(self) -> Device:
        """As the value that the estimate reckons with: bytes, bytes a second, operations a second."""
        rates = self.tflops.model_dump(exclude_none=True)
        link = self.link_gb_per_s
        return Device(
            name=self.name,
            memory_bytes=(self.usable_gib or self.memory_gib) * GIB,
            bandwidth_bytes_per_s=self.bandwidth_gb_per_s * GB,
            flops_per_s={Format(form): rate * TERA for form, rate in rates.items()},
            source=self.source,
            as_of=self.as_of,
            link_bytes_per_s=None if link is None else link * GB,
            board_watts=self.board_watts,
        )


@dataclass(frozen=True, slots=True)
class Devices:
    """Rows by name. `own`: names of those that come from the user's file."""

    rows: Mapping[str, DeviceRow]
    own: frozenset[str]

    def lookup(self, name: str) -> DeviceRow | None:
        """The device of that name or alias, if there is one."""
        wanted = spelled(name)
        return next((row for row in self.rows.values() if wanted in map(spelled, row.spellings)), None)

    def find(self, name: str) -> DeviceRow:
        """The same.

        Raises:
            ConfigError: where there is none, with the nearest names.
        """
        if (found := self.lookup(name)) is not None:
            return found
        near = nearest_sentence(name, {row.name: row.spellings for row in self.rows.values()})
        raise ConfigError(
            f"There is no device {name!r}{near}.",
            hint="`kilotoken devices` lists all; docs/prices.md says how to add your own.",
        )


def load_devices(path: Path | None) -> Devices:
    """The product's devices, and those of a user's file over them; None for the product's alone.

    Raises:
        ConfigError: if a file cannot be used.
    """
    models = {"device": DeviceRow}
    rows = rows_of(DEVICES.text(), models, origin=DEVICES.origin, hint=DEVICES.hint)
    own = {} if path is None else rows_of(user_text(path), models, origin=str(path), hint=DEVICES.hint)
    merged = rows | own
    _names_are_unique(merged, str(path or DEVICES.origin))
    return Devices(merged, frozenset(own))


def device_named(name: str) -> Device:
    """The device of that name or alias, from the product's table and the user's.

    Raises:
        ConfigError: with the nearest names.
    """
    return load_devices(user_file(DEVICES)).find(name).to_device()


def _names_are_unique(rows: Mapping[str, DeviceRow], origin: str) -> None:
    named: dict[str, str] = {}
    for row in rows.values():
        for name in row.spellings:
            other = named.setdefault(spelled(name), row.name)
            if other != row.name:
                raise ConfigError(
                    f"{origin}: {name!r} names {other} and {row.name}.",
                    hint=f"Take it out of one, or call your row {other} to replace that one.",
                )

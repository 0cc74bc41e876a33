"""What a target said of each token of each example, kept on disk: computed once, read in every epoch.

One .npy file a column, one row a token, in the order of the examples. An interrupted pass goes on behind the last example
that was written whole. bfloat16 lies as its 16 bits in uint16, which numpy can hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from accounting.errors import MachineError
from drafts.training.examples import Example, ExampleFile


@dataclass(frozen=True, slots=True)
class Column:
    """`width` numbers a token; `dtype` as numpy names it, uint16 for bfloat16."""

    width: int
    dtype: str

    @property
    def bytes_per_token(self) -> int:
        """Of a row."""
        return self.width * np.dtype(self.dtype).itemsize


class TeacherStore:
    """Columns of all examples of one file."""

    def __init__(
        self, directory: Path, examples: ExampleFile, columns: Mapping[str, Column], identity: str
    ) -> None:
        """Open or begin.

        Args:
            identity: of what fills it: target, examples and what was asked. Another one's store begins anew.

        Raises:
            MachineError: if the disk cannot hold it.
        """
        self.directory = directory
        self._ends = np.cumsum(examples.lengths)
        self._facts: dict[str, Any] = {
            "identity": identity,
            "examples": len(examples),
            "done": 0,
            "spent_s": 0.0,
        }
        known = self._read_facts()
        resumed = known is not None and known["identity"] == identity and known["examples"] == len(examples)
        if resumed and known is not None:
            self._facts = self._facts | known
        rows = int(self._ends[-1])
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._columns: dict[str, NDArray[Any]] = {
                name: np.lib.format.open_memmap(
                    directory / f"{name}.npy",
                    mode="r+" if resumed else "w+",
                    dtype=np.dtype(column.dtype),
                    shape=None if resumed else (rows, column.width),
                )
                for name, column in columns.items()
            }
        except OSError as error:
            raise MachineError(
                f"What the target says of {rows:,} tokens cannot be kept in {directory}: {error.strerror or error}.",
                hint="Use fewer or shorter answers, or a directory on a larger disk.",
            ) from error
        if not resumed:
            self._write_facts()

    @property
    def done(self) -> int:
        """Examples that are in it."""
        return int(self._facts["done"])

    @property
    def spent_s(self) -> float:
        """Seconds that filling it took, interrupted passes included."""
        return float(self._facts["spent_s"])

    def took(self, seconds: float) -> None:
        """Add to them."""
        self._facts["spent_s"] += seconds

    def put(self, number: int, rows: Mapping[str, Tensor]) -> None:
        """Write one example's rows; `number` is the next that is missing."""
        if number != self.done:
            raise ValueError(f"example {number} cannot come behind {self.done}")
        for name, values in rows.items():
            self._columns[name][self._rows(number)] = _as_numpy(values)
        self._facts["done"] = number + 1

    def flush(self) -> None:
        """Everything put so far is on disk afterwards."""
        for column in self._columns.values():
            column.flush()  # type: ignore[attr-defined]
        self._write_facts()

    def rows(self, number: int, name: str) -> Tensor:
        """One example's rows of a column, (tokens, width)."""
        values = np.array(self._columns[name][self._rows(number)])
        tensor = torch.from_numpy(values)
        return tensor.view(torch.bfloat16) if values.dtype == np.uint16 else tensor

    def padded(self, numbers: Sequence[int], name: str, length: int) -> Tensor:
        """Several examples' rows side by side, (examples, length, width), zeros behind each one's end."""
        parts = [self.rows(number, name) for number in numbers]
        joined = torch.zeros(len(parts), length, parts[0].shape[1], dtype=parts[0].dtype)
        for row, part in enumerate(parts):
            joined[row, : len(part)] = part
        return joined

    def _rows(self, number: int) -> slice:
        end = int(self._ends[number])
        start = int(self._ends[number - 1]) if number else 0
        return slice(start, end)

    def _read_facts(self) -> dict[str, Any] | None:
        try:
            return dict(json.loads((self.directory / "store.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None

    def _write_facts(self) -> None:
        fresh = self.directory / "store.json.new"
        fresh.write_text(json.dumps(self._facts), encoding="utf-8")
        fresh.replace(self.directory / "store.json")


def _as_numpy(values: Tensor) -> NDArray[Any]:
    values = values.detach().cpu().contiguous()
    if values.dtype == torch.bfloat16:
        return np.asarray(values.view(torch.uint16).numpy())
    return np.asarray(values.numpy())


def store_bytes(examples: ExampleFile, columns: Mapping[str, Column]) -> int:
    """Bytes on disk."""
    return int(examples.lengths.sum()) * sum(column.bytes_per_token for column in columns.values())


def alone(example: Example, device: str) -> Tensor:
    """One example as a batch of one, (1, tokens)."""
    return torch.from_numpy(example.tokens)[None].to(device)

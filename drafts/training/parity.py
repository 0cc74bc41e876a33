"""Is what was exported what was trained? The trainer's own logits at some places of a few texts, to be computed again.

The trainer writes `parity.json` beside the weights: for each place and each drafted step the likeliest tokens, in the target's
numbers, and their logits, computed in float32 from weights rounded as they are exported. Whoever reads the files later
computes the same places from the files alone, the target's states included: rotated wrongly, mapped to other tokens or fed with
other states, the logits are others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from accounting.errors import ModelError

FILE = "parity.json"
FORMAT = "kilotoken-parity/1"
_LIKELIEST = 8
_PLACES = 12
#: The error of a place where the draft cannot say what it said; finite, as JSON knows no infinity.
_ANOTHER = 1e6

#: Logits of each drafted step over the draft's own tokens, (slots, vocabulary) each, of one text (1, tokens).
Says = Callable[[Tensor], Sequence[Tensor]]


class Row(msgspec.Struct, frozen=True, array_like=True):
    """The likeliest tokens at one place."""

    text: int
    step: int
    slot: int
    ids: list[int]
    logits: list[float]


class ParityRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`dtype`: of the target, whose states a head is fed with."""

    format: str = FORMAT
    dtype: str
    texts: list[list[int]]
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Parity:
    """`error`: of a row, the distance of its logits to the recorded ones over the spread of all logits there."""

    rows: int
    same_first: float
    median_error: float
    largest_error: float


def recorded(says: Says, target_ids: Tensor, texts: Sequence[Sequence[int]], *, dtype: str) -> ParityRecord:
    """What a draft says at evenly spread places of the texts.

    Args:
        target_ids: of the draft's tokens, in the target's numbers.
    """
    rows = []
    for number, step, logits in _each_step(says, texts):
        for slot in np.linspace(0, len(logits) - 1, min(_PLACES, len(logits))).astype(int).tolist():
            best, columns = logits[slot].topk(min(_LIKELIEST, logits.shape[-1]))
            rows.append(Row(number, step, slot, target_ids[columns].tolist(), best.tolist()))
    return ParityRecord(dtype=dtype, texts=[list(text) for text in texts], rows=rows)


def compared(record: ParityRecord, says: Says, target_ids: Tensor) -> Parity:
    """Compute the recorded places again.

    Raises:
        ValueError: if the draft has not so many steps or places.
    """
    column_of = {int(token): column for column, token in enumerate(target_ids.tolist())}
    said = {(number, step): logits for number, step, logits in _each_step(says, record.texts)}
    errors: list[float] = []
    same = 0
    for row in record.rows:
        logits = said[row.text, row.step][row.slot]
        same += int(target_ids[logits.argmax()]) == row.ids[0]
        columns = [column_of.get(token) for token in row.ids]
        if None in columns:
            errors.append(_ANOTHER)  # a token that the draft could say when it was trained, and cannot now
            continue
        errors.append(_error(logits, columns, row.logits))
    found: NDArray[np.float64] = np.asarray(errors)
    return Parity(len(errors), same / len(errors), float(np.median(found)), float(found.max()))


def _error(logits: Tensor, columns: Sequence[int | None], recorded_logits: Sequence[float]) -> float:
    again = logits[torch.tensor(columns)].double()
    wanted = torch.tensor(recorded_logits, dtype=torch.float64)
    spread = logits.double().std().clamp_min(1e-6)
    return float((again - wanted).square().mean().sqrt() / spread)


def _each_step(says: Says, texts: Sequence[Sequence[int]]) -> list[tuple[int, int, Tensor]]:
    """(text, step, logits in float32) of all texts, only the places whose tokens lie inside the text."""
    found = []
    with torch.inference_mode():
        for number, text in enumerate(texts):
            for step, logits in enumerate(says(torch.tensor([list(text)]))):
                inside = logits.shape[0] - step
                if inside > 0:
                    found.append((number, step, logits[:inside].float().cpu()))
    return found


def write_record(directory: Path, record: ParityRecord) -> None:
    """Write it beside the weights."""
    (directory / FILE).write_bytes(msgspec.json.encode(record) + b"\n")


def read_record(directory: Path) -> ParityRecord | None:
    """What the trainer left; None where it left nothing.

    Raises:
        ModelError: if it cannot be read.
    """
    try:
        return msgspec.json.decode((directory / FILE).read_bytes(), type=ParityRecord)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{directory / FILE} is damaged: {error}.") from error

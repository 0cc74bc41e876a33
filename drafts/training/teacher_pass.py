"""One teacher-forced pass of the target over all examples, kept in a store; interrupted, it goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor

from drafts.training.examples import ExampleFile
from drafts.training.teacher_store import Column, TeacherStore, alone

#: Examples after which the store is written through.
_FLUSH_EVERY = 64


class Teacher(Protocol):
    """What a target says of one text, a row for each token."""

    def said_of(self, tokens: Tensor) -> dict[str, Tensor]:
        """Rows by column; tokens are (1, length)."""


def teacher_pass(
    teacher: Callable[[], Teacher],
    examples: ExampleFile,
    columns: Mapping[str, Column],
    directory: Path,
    *,
    identity: str,
    device: str,
    tell: Callable[[int, int], None],
    clock: Callable[[], float] = time.monotonic,
) -> TeacherStore:
    """Fill the store in `directory`, or what is missing of it.

    Args:
        teacher: makes it; not called where nothing is missing, as loading a target takes its time and memory.
        identity: of target, examples and columns: a store of another one begins anew.
        tell: called with tokens done and in all.

    Raises:
        MachineError: if the disk cannot hold it.
    """
    store = TeacherStore(directory, examples, columns, identity)
    if store.done == len(examples):
        return store
    began_s = clock()
    made = teacher()
    total, done = int(examples.lengths.sum()), int(examples.lengths[: store.done].sum())
    for number in range(store.done, len(examples)):
        tell(done, total)
        store.put(number, made.said_of(alone(examples[number], device)))
        done += int(examples.lengths[number])
        if (number + 1) % _FLUSH_EVERY == 0:
            store.took(clock() - began_s)
            began_s = clock()
            store.flush()
    store.took(clock() - began_s)
    store.flush()
    tell(total, total)
    return store

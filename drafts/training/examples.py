"""Answers as training examples, read from a file one at a time: memory does not grow with the traces.

A file is scanned once: of each answer its place, its length and a digest of its id are kept, 24 bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from accounting.errors import ConfigError, MachineError
from drafts.replay.traces import Trace


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt and its answer. `tokens[answer_from:]` are the answer's, which alone are learned from."""

    tokens: NDArray[np.int64]
    answer_from: int


class ExampleFile:
    """Examples by number. A prompt that is too long loses its beginning, an answer its end."""

    def __init__(self, path: Path, *, longest: int, greedy_only: bool = False) -> None:
        """Scan the file.

        Args:
            longest: tokens of an example, prompt and answer together; an answer gets half of it at least.
            greedy_only: leave out answers that were sampled.

        Raises:
            ConfigError: if a line is no trace, an id comes twice, models differ, or nothing is there.
            MachineError: if the file cannot be read.
        """
        self.path, self.longest = path, longest
        self._decoder = msgspec.json.Decoder(Trace)
        places: list[int] = []
        lengths: list[int] = []
        ids: list[int] = []
        self.model = ""
        for number, place, line in _lines(path):
            trace = self._decode(line, number)
            if greedy_only and trace.temperature:
                continue
            if ids and trace.model != self.model:
                raise ConfigError(f"{path}, line {number}: model {trace.model!r}, before it {self.model!r}.")
            self.model = trace.model
            places.append(place)
            lengths.append(len(self._cut(trace).tokens))
            ids.append(int.from_bytes(hashlib.blake2b(trace.id.encode(), digest_size=8).digest()))
        if not places:
            raise ConfigError(
                f"{path} holds no {'greedy ' if greedy_only else ''}answer.",
                hint="`kilotoken collect` makes such files.",
            )
        if len(set(ids)) < len(ids):
            raise ConfigError(
                f"{path}: an id comes twice.", hint="Each answer counts once: give each its own id."
            )
        self._places = np.array(places, dtype=np.int64)
        self.lengths = np.array(lengths, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> Example:
        return self._cut(self.trace(number))

    def __iter__(self) -> Iterator[Example]:
        for number in range(len(self)):
            yield self[number]

    def trace(self, number: int) -> Trace:
        """The whole answer."""
        with self.path.open("rb") as file:
            file.seek(self._places[number])
            return self._decode(file.readline(), number + 1)

    def _decode(self, line: bytes, number: int) -> Trace:
        try:
            return self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.path}, line {number} is no trace: {error}.") from error

    def _cut(self, trace: Trace) -> Example:
        answer = trace.output_token_ids[: max(self.longest // 2, self.longest - len(trace.prompt_token_ids))]
        prompt = trace.prompt_token_ids[-(self.longest - len(answer)) :]
        return Example(np.array(prompt + answer, dtype=np.int64), len(prompt))


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Number, place and text of each line that is not blank."""
    try:
        with path.open("rb") as file:
            place = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, place, line
                place += len(line)
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror or error}.") from error

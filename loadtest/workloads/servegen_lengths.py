"""How long the requests of a ServeGen profile are: the histograms of its dataset, by window."""

from __future__ import annotations

import ast
import hashlib
import itertools
import random
from collections.abc import Mapping
from pathlib import Path

import msgspec

from accounting.errors import ConfigError
from loadtest.workloads.json_lines import Place, file_bytes


class _Histograms(msgspec.Struct):
    input_tokens: str  # a dictionary of tokens -> share, written as Python does
    output_tokens: str


class ServegenLengths:
    """The length histograms of a dataset, each read when a window first needs it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        raw = file_bytes(path, holds="the lengths", hint="A ServeGen trace needs its dataset beside it.")
        self.sha256 = hashlib.sha256(raw).hexdigest()
        try:
            named = msgspec.json.decode(raw, type=dict[str, _Histograms])
            self._windows = sorted((float(start), held) for start, held in named.items())
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError, TypeError) as error:
            raise ConfigError(
                f"{path}: this is no ServeGen dataset: {error}.",
                hint='It holds {"<start in s>": {"input_tokens": "{...}", "output_tokens": "{...}"}}.',
            ) from error
        self._read: dict[float, tuple[Histogram, Histogram] | None] = {}

    def at(self, at_s: float, place: Place) -> tuple[Histogram, Histogram]:
        """Draws of input and output lengths for the window of the trace that begins at `at_s`.

        Raises:
            ConfigError: naming the window's `place` if there are none, or the histogram that cannot be read.
        """
        for start_s, held in reversed(self._windows):
            if start_s <= at_s and start_s not in self._read:
                self._read[start_s] = self._histograms(start_s, held)
            if start_s <= at_s and (found := self._read[start_s]) is not None:
                return found
        return place.fail(
            f"requests arrive at {at_s:g} s, but {self._path.name} has no lengths at or before that."
        )

    def _histograms(self, start_s: float, held: _Histograms) -> tuple[Histogram, Histogram] | None:
        pair = [self._shares(start_s, field, getattr(held, field)) for field in held.__struct_fields__]
        return (Histogram(pair[0]), Histogram(pair[1])) if all(pair) else None

    def _shares(self, start_s: float, field: str, text: str) -> dict[int, float]:
        try:
            shares = ast.literal_eval(text)
            if all(type(tokens) is int and tokens >= 0 and share >= 0 for tokens, share in shares.items()):
                return {tokens: float(share) for tokens, share in shares.items() if share > 0}
        except (ValueError, SyntaxError, TypeError, AttributeError, MemoryError, RecursionError):
            pass
        raise ConfigError(
            f"{self._path}, window {start_s:g}: {field} is no histogram. It must be a dictionary of whole "
            "numbers of tokens and their shares."
        )


class Histogram:
    """Draws whole numbers with given shares, which need not sum to 1."""

    def __init__(self, shares: Mapping[int, float]) -> None:
        self._values = list(shares)
        self._ends = list(itertools.accumulate(shares.values()))

    def __call__(self, rng: random.Random) -> int:
        """One number."""
        return rng.choices(self._values, cum_weights=self._ends)[0]

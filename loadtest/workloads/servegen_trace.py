"""How a ServeGen client profile becomes arrivals: a seeded draw of the day that it describes.

Two files beside each other: `<client>-trace.csv` without a header, one window a line (start in s, requests
per second, coefficient of variation, pattern, shape, scale), and `<client>-dataset.json`, histograms of
input and output tokens for longer windows (the one that begins last at or before a trace window holds for
it; empty ones are passed over). As in ServeGen, the rate decides how many requests a window has and the
pattern (Gamma or Weibull, by shape and scale) how unevenly they come; no pattern, no arrivals. Input and
output lengths are drawn independently: the histograms do not say how they go together. Prompts share
nothing, as nothing is said of it.

Every window has a generator of its own: a stretch has the very requests that the whole day has there.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from accounting.errors import ConfigError
from loadtest.workloads.json_lines import Place, file_bytes
from loadtest.workloads.name_options import as_said, checked_options
from loadtest.workloads.prompt import Workload
from loadtest.workloads.servegen_lengths import ServegenLengths
from loadtest.workloads.trace_prompts import Arrival, TraceOptions, scaled, stretch_of, trace_workload

TRACE_END, DATASET_END = "-trace.csv", "-dataset.json"
PATTERNS = ("Gamma", "Weibull")
_FIELDS = 6
_MOST_REQUESTS = 1_000_000
_KEYS_PER_WINDOW = 1 << 24


class ServegenOptions(TraceOptions, frozen=True, kw_only=True):
    """What a ServeGen profile's name may say behind `?`."""

    rate_scale: Annotated[float, msgspec.Meta(gt=0)] = 1.0  # multiplies the rate of every window


@dataclass(frozen=True, slots=True)
class Window:
    """One line of the trace; times in s, the rate in requests per s."""

    place: Place
    start_s: float
    rate: float
    pattern: str
    shape: float
    scale: float


def dataset_of(trace: Path) -> Path:
    """The dataset that belongs to a trace.

    Raises:
        ConfigError: if the trace's name does not say it.
    """
    if not trace.name.endswith(TRACE_END):
        raise ConfigError(
            f"{trace}: a ServeGen trace is named <client>{TRACE_END} and stands beside <client>{DATASET_END}.",
            hint="Give the path of the trace's CSV file.",
        )
    return trace.with_name(trace.name.removesuffix(TRACE_END) + DATASET_END)


def read_servegen(path: Path, *, name: str, pairs: Mapping[str, str], seed: int) -> Workload:
    """The workload that a client profile describes.

    Raises:
        ConfigError: naming the option, the line or the dataset's window that cannot be used.
    """
    origin = f"servegen:{path}"
    options = checked_options(pairs, ServegenOptions, origin=origin)
    raw = file_bytes(path, holds="the trace", hint=f"Give the path of a file named <client>{TRACE_END}.")
    windows = _windows(path, raw)
    lengths = ServegenLengths(dataset_of(path))
    arrivals = list(_arrivals(windows, lengths, options, name=name, seed=seed, origin=origin))
    digests = f"{path}, sha256 {hashlib.sha256(raw).hexdigest()}, dataset sha256 {lengths.sha256}"
    return trace_workload(
        stretch_of(arrivals, options, origin=origin),
        options,
        name=name,
        seed=seed,
        source=f"{digests}{as_said(pairs)}",
        about=f"the profile {path.name}",
    )


def _windows(path: Path, raw: bytes) -> list[Window]:
    reader = csv.reader(io.StringIO(raw.decode("utf-8-sig", errors="replace"), newline=""))
    windows = [_window(row, Place(path, reader.line_num)) for row in reader if row]
    for before, after in itertools.pairwise(windows):
        if after.start_s <= before.start_s:
            after.place.fail(f"the window begins at {after.start_s:g} s, not after the one before it.")
    if len(windows) < 2:
        Place(path, 1).fail("a trace has at least two windows: their distance says how long one lasts.")
    return windows


def _window(row: Sequence[str], place: Place) -> Window:
    if len(row) != _FIELDS:
        place.fail(
            f"the line has {len(row)} fields. It must have {_FIELDS}: start (s), rate (requests/s), cv, pattern, "
            "shape, scale."
        )
    start_s, rate, _, shape, scale = (_number(row[index], place) for index in (0, 1, 2, 4, 5))
    pattern = row[3].strip()
    if pattern and pattern not in PATTERNS:
        place.fail(f"the pattern is {pattern!r}. Allowed: {', '.join(PATTERNS)}, or nothing for no arrivals.")
    if pattern and not (shape > 0 and scale > 0):
        place.fail(f"the pattern {pattern} has shape {shape:g} and scale {scale:g}. Both must be above 0.")
    return Window(place, start_s, rate, pattern, shape, scale)


def _number(text: str, place: Place) -> float:
    try:
        value = float(text)
    except ValueError:
        place.fail(f"{text!r} is no number.")
    if not math.isfinite(value) or value < 0:
        place.fail(f"{text!r} is out of range. It must be a number of at least 0.")
    return value


def _arrivals(
    windows: Sequence[Window],
    lengths: ServegenLengths,
    options: ServegenOptions,
    *,
    name: str,
    seed: int,
    origin: str,
) -> Iterator[Arrival]:
    """The requests of every window that the stretch touches, in order of time."""
    end_s = math.inf if options.duration_s is None else options.start_s + options.duration_s
    last_s = windows[-1].start_s - windows[-2].start_s
    touched = []
    for index, window in enumerate(windows):
        after_s = windows[index + 1].start_s if index + 1 < len(windows) else window.start_s + last_s
        if window.pattern and after_s > options.start_s and window.start_s < end_s:
            touched.append((index, window, after_s - window.start_s))
    expected = sum(window.rate * options.rate_scale * length_s for _, window, length_s in touched)
    if expected > _MOST_REQUESTS:
        raise ConfigError(
            f"{origin}: the windows of this stretch have about {expected:,.0f} requests. At most "
            f"{_MOST_REQUESTS:,} are drawn.",
            hint="Give start_s and duration_s, or a rate_scale.",
        )
    for index, window, length_s in touched:
        rng = random.Random(f"kilotoken/{name}/window/{index}/{seed}")
        draw_input, draw_output = lengths.at(window.start_s, window.place)
        for number, at_s in enumerate(_times(window, length_s, options.rate_scale, rng)):
            key = index * _KEYS_PER_WINDOW + number
            tokens_in, tokens_out = draw_input(rng), draw_output(rng)
            yield Arrival(
                key,
                at_s,
                keys=(key,),
                lengths=(scaled(tokens_in, options.scale),),
                output_tokens=scaled(tokens_out, options.output_scale),
            )


def _times(window: Window, length_s: float, rate_scale: float, rng: random.Random) -> list[float]:
    """Arrivals in one window: as many as its rate says, their gaps in the pattern's proportions."""
    exact = window.rate * rate_scale * length_s
    count = math.floor(exact) + (rng.random() < exact % 1)
    if count == 0:
        return []
    draw = rng.gammavariate if window.pattern == "Gamma" else _weibull(rng)
    ends = list(itertools.accumulate(draw(window.shape, window.scale) for _ in range(count + 1)))
    stretch = length_s / ends[-1] if ends[-1] > 0 else 0.0
    return [window.start_s + end * stretch for end in ends[:-1]]


def _weibull(rng: random.Random) -> Callable[[float, float], float]:
    return lambda shape, scale: rng.weibullvariate(scale, shape)

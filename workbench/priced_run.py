"""What pricing reads of a run: its price, and its valid cells that count. A file that is damaged is named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from accounting.errors import ConfigError, RunError
from accounting.prices import Price
from workbench.pair_count import PAIRS, counted_repeats
from workbench.price_dates import age_warning, refuse_future
from workbench.run_directory import RunDirectory

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedRun:
    """A run's own price, and its cells whose throughput is valid and whose repeat counts. `price_warning`: where it is old."""

    path: Path
    price: Price
    cells: tuple[Row, ...]
    price_warning: str | None


class _Verdict(msgspec.Struct):
    throughput: str


class _Share(msgspec.Struct):
    value: float | None


class _Energy(msgspec.Struct):
    watts: float | None = None
    covers: list[str] = []


class _Cell(msgspec.Struct):
    """What is read of a cell of measures.json; it says more."""

    arm: str
    workload: str
    repeat: int
    requests: int
    window_s: float
    output_tokens: float | None
    slo_token_share: _Share
    verdict: _Verdict
    load: str | None = None
    streams: int | None = None
    busy_share: float | None = None
    prompt_tokens: float | None = None
    cached_prompt_tokens: float | None = None
    engine_steps: float | None = None
    energy: _Energy | None = None

    def __post_init__(self) -> None:
        if not self.load and self.streams is None:
            raise ValueError("a cell says its load, or its streams")
        if self.verdict.throughput == "valid" and self.output_tokens and not self.window_s > 0:
            raise ValueError("a valid cell has a window of more than 0 s")


class _Measures(msgspec.Struct):
    cells: list[_Cell]


class _Pairs(msgspec.Struct):
    pairs: int


class _Block(msgspec.Struct):
    startup_s: float | None = None


def read_priced(run: RunDirectory, today: date) -> PricedRun:
    """A run as pricing sees it. What its pilot measured, and repeats beyond those that are compared, do not count.

    Raises:
        RunError: if a file is missing or damaged, or no valid cell counts.
        ConfigError: if the run's price is dated after `today`.
    """
    experiment = run.experiment()
    price = experiment.price.to_price()
    refuse_future(f"{run.path}: the run's own price", price.as_of, today)
    _check_pairs(run)
    counted = counted_repeats(run, experiment)
    cells = tuple(
        cell
        for cell in _cells(run)
        if cell["verdict"]["throughput"] == "valid" and cell["output_tokens"] and cell["repeat"] in counted
    )
    if not cells:
        beyond_pilot = " beyond its pilot" if experiment.pairs is not None else ""
        raise RunError(
            f"{run.path} has no cell whose throughput is valid{beyond_pilot}: there is nothing to price.",
            hint=f"`kilotoken show {run.path}` says why each is not.",
        )
    warning = age_warning(f"The price of {run.path}", price.as_of, price.source, today)
    return PricedRun(path=run.path, price=price, cells=cells, price_warning=warning)


def start_up(run: RunDirectory, starts_per_day: float, given_s: float | None) -> tuple[float | None, float]:
    """Seconds of one start, as given or as this run's servers took (their median), and the share of the day in all.

    Raises:
        ConfigError: if there are starts, and how long one takes is not known.
        RunError: if a block.json is damaged.
    """
    seconds = _measured_start_up_s(run) if given_s is None else given_s
    if not starts_per_day:
        return seconds, 0.0
    if seconds is None:
        raise ConfigError(
            f"{run.path} does not say how long its servers take to start (they ran already), so that {starts_per_day:g} "
            "starts a day have no cost.",
            hint="Give it with --start-up-s, or leave --starts-per-day out.",
        )
    return seconds, starts_per_day * seconds / 86_400.0


def _check_pairs(run: RunDirectory) -> None:
    if not (run.path / PAIRS).exists():
        return
    hint = f"`kilotoken run --resume {run.path}` fixes the number again where the file is gone."
    try:
        msgspec.convert(run.read_json(PAIRS, hint=hint), _Pairs)
    except msgspec.ValidationError as error:
        raise RunError(f"{run.path / PAIRS} is damaged: {error}.", hint=hint) from error


def _cells(run: RunDirectory) -> list[Row]:
    document = run.read_json("measures.json")
    try:
        msgspec.convert(document, _Measures)
    except msgspec.ValidationError as error:
        raise RunError(
            f"{run.path / 'measures.json'} is damaged: {error}.",
            hint=f"`kilotoken report {run.path}` makes it again from the measured files.",
        ) from error
    cells: list[Row] = document["cells"]
    return cells


def _measured_start_up_s(run: RunDirectory) -> float | None:
    found = []
    for path in sorted((run.path / "blocks").glob("*/block.json")):
        try:
            block = msgspec.json.decode(path.read_bytes(), type=_Block)
        except (OSError, msgspec.DecodeError) as error:
            raise RunError(
                f"{path} is damaged: {error}.",
                hint="It says how long a start took: with --starts-per-day and --start-up-s it is not read.",
            ) from error
        found += [] if block.startup_s is None else [block.startup_s]
    return median(found) if found else None

"""A finished cell, read from its files: requests, counters at the window's edges, samples in between.

Tolerant of older run directories: what they lack is not measured, never zero.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from accounting import metric_names
from accounting.counters import CounterChange, CounterSample, difference
from accounting.errors import RunError
from accounting.evidence import CellFacts, WindowFindings, find, sent_inside
from accounting.load_summary import latency_samples
from accounting.prefix_hits import PrefixHits, judge_prefix_hits
from accounting.record_columns import RecordColumns
from accounting.trend import MINIMUM_VALUES
from accounting.window_edges import late_edges
from accounting.window_series import MOST_BINS
from loadtest.request_columns import read_columns
from serving.endpoints import MetricsPage
from serving.scrape import parse_page
from workbench.capacity_found import at_its_load
from workbench.cell import IDLE_AFTER, IDLE_BEFORE, WINDOW_END, WINDOW_START
from workbench.host_sampler import read_host_samples
from workbench.plan import BlockPlan, CellPlan
from workbench.run_directory import CellDirectory, RunDirectory

#: Cells that are read side by side: DuckDB and most of numpy work outside Python's lock.
READERS = 2


@dataclass(frozen=True, slots=True)
class ServerLife:
    """The server life that a cell ran in, its generated tokens before and after the cell, and what its drafter keeps.

    `remembers` is None where it is not known (`why_unknown`).
    """

    base_url: str
    process_start: float | None  # seconds since the epoch, as the metrics page says
    generated_before: float
    generated_after: float
    remembers: bool | None
    why_unknown: str

    @property
    def key(self) -> tuple[str, float | None]:
        """Equal in one life."""
        return self.base_url, self.process_start


@dataclass(frozen=True)
class CellData:
    """A finished cell, read from its files. `window` is None where the server exposes no counters, `life` and `energy`
    (what the meters said, as `EnergyMeter.plain`) also in older run directories.
    """

    block: BlockPlan
    cell: CellPlan
    records: RecordColumns
    in_window: RecordColumns
    window_s: float
    window_edges_s: tuple[float, float]
    window_uncertainty_s: float
    window: CounterChange | None
    idle_to_idle: CounterChange | None
    caches_reset: bool
    cache_salted: bool
    metrics_error: str
    busy_share: float | None
    facts: CellFacts
    life: ServerLife | None = None
    energy: dict[str, Any] | None = None

    @cached_property
    def found(self) -> WindowFindings:
        """What the window shows from every side."""
        return find(self.records, *self.window_edges_s, self.facts)

    @cached_property
    def samples(self) -> dict[str, NDArray[np.float64]]:
        """Latencies of the window's requests, seconds (`latency_samples`): pooled cells are these put together."""
        return latency_samples(self.in_window)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Arm, workload, load's label, repeat."""
        return self.block.arm, self.cell.workload, self.cell.load, self.block.repeat


def read_cell(block: BlockPlan, cell: CellPlan, directory: CellDirectory) -> CellData:
    """Read one finished cell.

    Raises:
        RunError: if a file is missing or damaged.
    """
    try:
        facts: dict[str, Any] = json.loads(directory.facts.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{directory.facts} cannot be read: {error}",
            hint=f"Remove {directory.path.parent.parent} and run the block again with --resume.",
        ) from error
    records = read_columns(directory.requests)
    if WINDOW_END not in facts["edges"]:
        raise RunError(f"{directory.facts} has no steady window: the cell did not finish.")
    start_s, end_s = _edges_s(facts)
    window = idle = life = None
    uncertainty_s = 0.0
    if not facts["metrics_error"]:
        pages = {
            name: _page(directory, name, facts)
            for name in (IDLE_BEFORE, WINDOW_START, WINDOW_END, IDLE_AFTER)
        }
        window = difference(pages[WINDOW_START], pages[WINDOW_END])
        idle = difference(pages[IDLE_BEFORE], pages[IDLE_AFTER])
        uncertainty_s = window.uncertainty_s
        life = _life(facts, pages[IDLE_AFTER])
    gauges = _gauges(directory, start_s, end_s)
    return CellData(
        block,
        cell,
        records,
        sent_inside(records, start_s, end_s),
        end_s - start_s,
        (start_s, end_s),
        uncertainty_s,
        window,
        idle,
        facts["caches_reset"],
        facts.get("cache_salted", False),
        facts["metrics_error"],
        _busy_share(gauges),
        replace(
            _cell_facts(directory, cell, facts, gauges),
            prefix_hits=_prefix_hits(facts.get("explained_hits"), idle),
        ),
        life,
        facts.get("energy"),
    )


def _edges_s(facts: dict[str, Any]) -> tuple[float, float]:
    """When the counters were read at the window's edges."""
    return facts["edges"][WINDOW_START]["at_s"], facts["edges"][WINDOW_END]["at_s"]


def _prefix_hits(explained: dict[str, Any] | None, idle: CounterChange | None) -> PrefixHits | None:
    """What was hit against what the cell's prompts explain; None where hits are not counted."""
    if idle is None or idle.reset or not idle.has(metric_names.PREFIX_CACHE_HITS):
        return None
    hits = idle.increase(metric_names.PREFIX_CACHE_HITS)
    if not hits:
        return PrefixHits(hit_tokens=0)
    if explained is None or explained["tokens"] is None:
        reason = (
            explained["reason"]
            if explained
            else "the kilotoken that measured it did not look at its prompts' tokens"
        )
        return PrefixHits(hit_tokens=round(hits), not_judged=reason)
    return judge_prefix_hits(
        hit_tokens=hits,
        queried_tokens=idle.increase(metric_names.PREFIX_CACHE_QUERIES),
        explained_tokens=explained["tokens"],
        prompt_tokens=explained["prompt_tokens"],
    )


def _life(facts: dict[str, Any], after: CounterSample) -> ServerLife | None:
    memory = facts.get("server_memory")
    if memory is None:
        return None
    return ServerLife(
        facts["base_url"],
        after.process_start_time,
        memory["generated_tokens"],
        after.counters.get(metric_names.GENERATION_TOKENS, 0.0),
        memory["remembers"],
        memory["why_unknown"],
    )


def _cell_facts(
    directory: CellDirectory, cell: CellPlan, facts: dict[str, Any], gauges: Gauges | None
) -> CellFacts:
    """What the cell's files say beside its requests; older run directories say less."""
    host = directory.host
    return CellFacts(
        streams=cell.streams,
        offered_rate_per_s=cell.rate_per_s,
        rate_changes=facts.get("rate_changes", False),
        late_edges=late_edges(_edges_s(facts), facts.get("stages_s", {})),
        queue=_queue(gauges),
        host_samples=read_host_samples(host) if host.exists() else (),
        calibrated_tokens_per_s=facts.get("calibrated_tokens_per_s"),
    )


def _page(directory: CellDirectory, name: str, facts: dict[str, Any]) -> CounterSample:
    edge = facts["edges"][name]
    try:
        text = directory.metrics_page(name).read_text(encoding="utf-8")
    except OSError as error:
        raise RunError(f"{directory.metrics_page(name)} cannot be read: {error}") from error
    at_s, uncertainty_s = edge["at_s"], edge["uncertainty_s"]
    return parse_page(MetricsPage(text, at_s - uncertainty_s, at_s + uncertainty_s))


@cache
def _database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


#: Name -> instants and values.
Gauges = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


def _gauges(directory: CellDirectory, start_s: float, end_s: float) -> Gauges | None:
    """Instants and values of the requests running and waiting, second by second; None without samples."""
    if not directory.counters.exists():
        return None
    names = [metric_names.REQUESTS_RUNNING, metric_names.REQUESTS_WAITING]
    with _database().cursor() as connection:
        rows = connection.execute(
            "SELECT name, at_s, value FROM read_parquet(?) WHERE list_contains(?, name) AND at_s BETWEEN ? AND ?",
            [str(directory.counters), names, start_s, end_s],
        ).fetchnumpy()
    return {name: (rows["at_s"][rows["name"] == name], rows["value"][rows["name"] == name]) for name in names}


def _busy_share(gauges: Gauges | None) -> float | None:
    """Share of one-second samples inside the window with a request running (usage basis).

    A lower bound: vLLM moves this gauge when a step returns, so during the first prefill of an idle server it
    still reads 0.
    """
    running = () if gauges is None else gauges[metric_names.REQUESTS_RUNNING][1]
    return float((np.asarray(running) > 0).mean()) if len(running) else None


def _queue(gauges: Gauges | None) -> NDArray[np.float64] | None:
    """Running and waiting requests by the server's own count, second by second, at most `MOST_BINS` means of them."""
    if gauges is None:
        return None
    at_s, values = (np.concatenate(columns) for columns in zip(*gauges.values(), strict=True))
    instants, which = np.unique(at_s, return_inverse=True)
    if len(instants) < MINIMUM_VALUES:
        return None
    sums = np.bincount(which, values)
    return np.array([part.mean() for part in np.array_split(sums, min(len(sums), MOST_BINS))])


def read_finished_cells(run: RunDirectory) -> list[CellData]:
    """Every cell of every finished block, in plan order. An arm without a capacity has no cell there."""
    wanted: list[tuple[BlockPlan, CellPlan, CellDirectory]] = []
    for block in run.plan().blocks:
        attempt = run.finished(block)
        if attempt is not None:
            known = [cell for cell in (at_its_load(run, block, cell) for cell in block.cells) if cell]
            wanted += [(block, cell, attempt.cell(cell)) for cell in known]
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda place: read_cell(*place), wanted))


def looked_at(cells: Sequence[CellData]) -> Sequence[CellData]:
    """The cells, with what takes longest done side by side. Their facts must be complete: what is found stays."""
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(lambda cell: (cell.found, cell.samples), cells))
    return cells

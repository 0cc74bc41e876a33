"""One cell: reset caches, drive the load, scrape both edges of the steady window, save everything.

The order of a cell, idle to idle:
what can the drafter remember? -> reset prefix cache (or salt it, where the server does not open the reset) -> page
`idle_before` -> load child: warm-up, ramp | page `window_start` | steady window | page `window_end` | tail, drain
-> wait until idle -> page `idle_after` -> which prefix hits do the cell's own prompts explain?
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from accounting.counters import CounterSample
from accounting.errors import LoadError, ServerError
from accounting.host_noise import HostSample
from accounting.metric_names import PREFIX_CACHE_HITS
from accounting.slo import fewest_answers
from loadtest.arrivals import parse_arrivals
from loadtest.config import Arrivals, ClosedLoop, LoadSpec, OpenLoop, Output, RateSegment, Stages
from loadtest.launch import Distribution, LoadProcess
from loadtest.realtime import running_at_once
from loadtest.request_store import merge_parquets
from loadtest.stages import Stage
from serving.endpoints import ServerEndpoints
from serving.models.cache import cache_root
from serving.scrape import parse_page
from workbench.calibration import fingerprint, load_calibration
from workbench.drafter_memory import ServerMemory, server_memory
from workbench.energy_meter import EnergyMeter, energy_meter_of
from workbench.experiment import Experiment
from workbench.explained_hits import ExplainedHits, explained_hits
from workbench.host_sampler import HostSampler, write_host_samples
from workbench.kv_blocks import kv_blocks
from workbench.local_server import listening_pids
from workbench.plan import BlockPlan, CellPlan
from workbench.run_directory import CellDirectory, write_json
from workbench.server_under_test import ServerUnderTest

SAMPLE_EVERY_S = 1.0
# At a rate the queue that belongs to it has to build up before the window opens.
OPEN_LOOP_RAMP_S = 2.0
# The window's edges are the scrapes, which follow the load's own edges by a few milliseconds each: without a
# margin every other window of "25 s" would be 24.99 s long.
EDGE_MARGIN_S = 0.25
IDLE_DEADLINE_S = 120.0
IDLE_BEFORE, WINDOW_START, WINDOW_END, IDLE_AFTER = "idle_before", "window_start", "window_end", "idle_after"


@dataclass(frozen=True, slots=True)
class Progress:
    """What a cell is doing, for the progress display."""

    stage: str
    output_tokens_per_s: float | None
    share: float


@dataclass
class _Observed:
    """Everything scraped and heard during a cell."""

    samples: list[CounterSample] = field(default_factory=list)
    edges: dict[str, CounterSample] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    gave_up: str = ""
    metrics_error: str = ""
    failed: str = ""
    parts: list[dict[str, Any]] | None = None  # the load processes' files, once they are saved
    host: list[HostSample] = field(default_factory=list)
    energy: EnergyMeter | None = None
    memory: ServerMemory | None = None
    explained: ExplainedHits | None = None  # None where nothing was hit, or hits are not counted


def load_spec(
    experiment: Experiment,
    block: BlockPlan,
    cell: CellPlan,
    server: ServerUnderTest,
    records: Path,
    workload_source: str,
    *,
    lengths: Path | None = None,
) -> LoadSpec:
    """What the load child is told; `lengths` where natural ones are recorded.

    Raises:
        ValueError: if the cell's load is not known yet.
    """
    window = experiment.window
    return LoadSpec(
        base_url=server.base_url,
        model=server.model_name,
        arrivals=_arrivals(experiment, cell),
        workload=workload_source,
        workload_seed=experiment.workload_seed,
        order_seed=block.order_seed,
        slice_index=cell.slice_index,
        slice_count=cell.slice_count,
        output=Output(experiment.output.length, experiment.output.max_tokens, str(lengths or "")),
        stages=Stages(
            warm_up_s=window.warm_up_s,
            ramp_s=0.0 if cell.rate_per_s is None else OPEN_LOOP_RAMP_S,
            window_s=window.minimum_s + EDGE_MARGIN_S,
            window_limit_s=window.limit_s + EDGE_MARGIN_S,
            completions=max(
                window.completions_per_stream * (cell.streams or 0),
                fewest_answers(experiment.slo.attainment_floor) if cell.at_capacity else 0,
            ),
        ),
        request_timeout_s=experiment.request_timeout_s,
        records_dir=str(records),
        vllm_extensions=server.is_vllm,
    )


def _arrivals(experiment: Experiment, cell: CellPlan) -> Arrivals:
    if cell.streams is not None:
        return ClosedLoop(cell.streams)
    if cell.rate_per_s is None:
        raise ValueError(f"{cell.cell_id} has no load yet: its search comes first")
    steady = RateSegment(cell.rate_per_s, cell.rate_per_s, 0.0)
    return OpenLoop((steady,), parse_arrivals(experiment.loads.arrivals))


def run_cell(
    spec: LoadSpec,
    server: ServerUnderTest,
    directory: CellDirectory,
    *,
    report: Callable[[Progress], None],
    distribution: Distribution = Distribution(),  # noqa: B008 - frozen
    always_salt: bool = False,
) -> None:
    """Run one cell and leave its files. `always_salt`: its prompts may share no cached block with any later ones, and
    nobody asks what caches knew before: it records, and measures nothing.

    Raises:
        ServerError: if the server died, or nothing but failures came back.
        LoadError: if the load generator failed.
    """
    directory.path.mkdir(parents=True, exist_ok=True)
    observed = _Observed()
    try:
        _measure(spec, server, directory, observed, report, distribution, always_salt=always_salt)
    except (ServerError, LoadError):
        server.explain_death("in mid-cell")
        raise


def _measure(
    spec: LoadSpec,
    server: ServerUnderTest,
    directory: CellDirectory,
    observed: _Observed,
    report: Callable[[Progress], None],
    distribution: Distribution,
    *,
    always_salt: bool,
) -> None:
    with server.endpoints() as endpoints:
        observed.metrics_error = _metrics_missing(endpoints)
        _wait_idle(endpoints, server, observed)
        if not observed.metrics_error and not always_salt:
            observed.memory = server_memory(server, endpoints, spec.model)
        caches_reset = endpoints.reset_prefix_cache()
        if server.is_vllm and (always_salt or not caches_reset):
            # A deployed server does not open the reset; prompts of another salt share no block with earlier ones.
            spec = msgspec.structs.replace(spec, cache_salt=secrets.token_hex(8))
        observed.energy = energy_meter_of(server)
        _edge(IDLE_BEFORE, endpoints, directory, observed)
        _drive(spec, server, endpoints, directory, observed, report, distribution)
        _wait_idle(endpoints, server, observed)
        _edge(IDLE_AFTER, endpoints, directory, observed)
        _gather(observed, directory)
        if not always_salt and _hit_anything(observed):
            kv = kv_blocks(server.resolved, directory.metrics_page(IDLE_BEFORE).read_text(encoding="utf-8"))
            observed.explained = explained_hits(spec, directory.requests, kv, endpoints)
    if observed.samples:
        _write_counters(observed.samples, directory.counters)
    write_host_samples(observed.host, directory.host)
    _write_facts(
        directory,
        observed,
        base_url=spec.base_url,
        caches_reset=caches_reset,
        cache_salted=bool(spec.cache_salt),
        calibrated_tokens_per_s=_calibrated_tokens_per_s(spec),
    )
    if observed.gave_up:
        raise ServerError(
            f"every request failed: {observed.gave_up}",
            hint=f"The records are in {directory.requests}.",
        )


def _hit_anything(observed: _Observed) -> bool:
    """Whether the prefix cache served anything from idle to idle."""
    before, after = (observed.edges[name].counters for name in (IDLE_BEFORE, IDLE_AFTER))
    return after.get(PREFIX_CACHE_HITS, 0.0) > before.get(PREFIX_CACHE_HITS, 0.0)


def _metrics_missing(endpoints: ServerEndpoints) -> str:
    try:
        missing = parse_page(endpoints.metrics_page()).missing_required()
    except ServerError as error:
        return error.message
    return f"the server's /metrics page lacks {', '.join(missing)}" if missing else ""


def _drive(
    spec: LoadSpec,
    server: ServerUnderTest,
    endpoints: ServerEndpoints,
    directory: CellDirectory,
    observed: _Observed,
    report: Callable[[Progress], None],
    distribution: Distribution,
) -> None:
    expected_s = spec.stages.warm_up_s + spec.stages.ramp_s + spec.stages.window_s + 5.0
    started = time.monotonic()
    next_sample_s = started
    last: tuple[float, int] | None = None
    log_path = directory.path / "load.log"
    with (
        LoadProcess(
            spec,
            spec_path=directory.path / "load.json",
            log_path=log_path,
            api_key=server.api_key,
            distribution=distribution,
        ) as load,
        running_at_once(),  # a page of metrics that is read late at a window's edge voids the cell
    ):
        ours = (os.getpid(), *listening_pids(server.base_url))
        sampler = HostSampler(lambda: ours)
        for event in load.events(every_s=0.25):
            server.check_alive("in mid-cell")
            if event is not None:
                _hear(event, endpoints, directory, observed)
                if event["event"] == "progress":
                    now, tokens = float(event["at_s"]), int(event["output_tokens"])
                    rate = (tokens - last[1]) / (now - last[0]) if last and now > last[0] else None
                    last = (now, tokens)
                    report(Progress(event["stage"], rate, min((now - started) / expected_s, 1.0)))
            if time.monotonic() >= next_sample_s:
                next_sample_s = time.monotonic() + SAMPLE_EVERY_S
                observed.host.append(sampler.sample())
                if observed.energy is not None:
                    observed.energy.between()
                if not observed.metrics_error:
                    observed.samples.append(parse_page(endpoints.metrics_page()))
        server.check_alive("in mid-cell")
        load.finish()
    if observed.failed:
        raise LoadError(f"the load generator could not go on: {observed.failed}", hint=f"See {log_path}.")
    if observed.parts is None:
        raise LoadError(f"the load generator ended without saving its records; see {log_path}")


def _hear(
    event: dict[str, Any], endpoints: ServerEndpoints, directory: CellDirectory, observed: _Observed
) -> None:
    match event["event"]:
        case "stage":
            observed.stages[event["stage"]] = event["at_s"]
            if event["stage"] == Stage.WINDOW:
                _edge(WINDOW_START, endpoints, directory, observed)
            elif event["stage"] == Stage.TAIL:
                _edge(WINDOW_END, endpoints, directory, observed)
        case "gave_up":
            observed.gave_up = str(event["reason"])
        case "saved":
            observed.parts = event["parts"]
        case "failed":
            observed.failed = str(event["reason"])
        case _:
            pass


def _gather(observed: _Observed, directory: CellDirectory) -> None:
    """One file of what every load process recorded, on this machine's clock."""
    parts = observed.parts or []
    merge_parquets([(Path(part["path"]), part["offset_s"]) for part in parts], directory.requests)
    for part in parts:
        Path(part["path"]).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            Path(part["path"]).parent.rmdir()


def _edge(name: str, endpoints: ServerEndpoints, directory: CellDirectory, observed: _Observed) -> None:
    """Scrape an edge, keep the page as the server wrote it, and read the energy at those of the window."""
    if observed.metrics_error:
        now = time.monotonic()
        observed.edges[name] = CounterSample(now, 0.0, {}, {})
        _read_energy(name, observed)
        return
    page = endpoints.metrics_page()
    _read_energy(name, observed)
    sample = parse_page(page)
    directory.metrics_page(name).write_text(page.text, encoding="utf-8")
    observed.edges[name] = sample


def _read_energy(edge: str, observed: _Observed) -> None:
    """Right after the page, at both edges alike, so that the delay of one makes up for that of the other."""
    if observed.energy is None:
        return
    if edge == WINDOW_START:
        observed.energy.start()
    elif edge == WINDOW_END:
        observed.energy.end()


def _wait_idle(endpoints: ServerEndpoints, server: ServerUnderTest, observed: _Observed) -> None:
    """Wait until no request runs: counters are reconciled idle to idle."""
    if observed.metrics_error:
        return
    deadline = time.monotonic() + IDLE_DEADLINE_S
    while parse_page(endpoints.metrics_page()).requests_in_server > 0:
        server.check_alive("in mid-cell")
        if time.monotonic() > deadline:
            raise ServerError(
                f"the server still runs requests {IDLE_DEADLINE_S:.0f} s after the load ended",
                hint="Another client may be using it: a cell needs the server to itself.",
            )
        time.sleep(0.1)


def _write_counters(samples: list[CounterSample], path: Path) -> None:
    rows = [
        (sample.at_s, name, value)
        for sample in samples
        for name, value in (*sample.counters.items(), *sample.gauges.items())
    ]
    quoted = str(path).replace("'", "''")
    try:
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE samples (at_s DOUBLE, name VARCHAR, value DOUBLE)")
            connection.execute(
                "INSERT INTO samples SELECT unnest($1::DOUBLE[]), unnest($2::VARCHAR[]), unnest($3::DOUBLE[])",
                [list(column) for column in zip(*rows, strict=True)],
            )
            connection.execute(f"COPY samples TO '{quoted}' (FORMAT parquet)")
    except duckdb.Error as error:
        raise LoadError(f"{path} cannot be written: {error}", hint="Is the disk full?") from error


def _calibrated_tokens_per_s(spec: LoadSpec) -> float | None:
    """How many tokens a second this machine's client was found to take; None if it was not calibrated."""
    calibration = load_calibration(fingerprint(spec.processes), root=cache_root())
    return None if calibration is None else calibration.tokens_per_s


def _write_facts(
    directory: CellDirectory,
    observed: _Observed,
    *,
    base_url: str,
    caches_reset: bool,
    cache_salted: bool,
    calibrated_tokens_per_s: float | None,
) -> None:
    write_json(
        directory.facts,
        {
            "clock": {"monotonic_s": time.monotonic(), "utc": datetime.now(UTC).isoformat()},
            "base_url": base_url,
            "caches_reset": caches_reset,
            "cache_salted": cache_salted,
            "server_memory": observed.memory and observed.memory.plain(),
            "explained_hits": observed.explained and observed.explained.plain(),
            "stages_s": observed.stages,
            "metrics_error": observed.metrics_error,
            "gave_up": observed.gave_up,
            "calibrated_tokens_per_s": calibrated_tokens_per_s,
            "load_processes": observed.parts,
            "energy": observed.energy and observed.energy.plain(),
            "edges": {
                name: {"at_s": sample.at_s, "uncertainty_s": sample.uncertainty_s}
                for name, sample in observed.edges.items()
            },
        },
    )

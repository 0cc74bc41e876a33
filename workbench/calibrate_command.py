"""What `kilotoken calibrate` does: load the exact-timing server with more and more streams and keep what was found."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from accounting.errors import LoadError
from loadtest.exact_server import MODEL, ExactServer, Lateness, compiled_server
from loadtest.stages import Stage
from loadtest.workloads import load_workload
from workbench.calibration import (
    Calibration,
    Level,
    fingerprint,
    judged,
    load_calibration,
    save_calibration,
    search,
)
from workbench.cell import Progress, run_cell
from workbench.load_measures import measure_load
from workbench.load_request import LoadRequest
from workbench.run_directory import CellDirectory
from workbench.server_under_test import ServerUnderTest
from workbench.status_line import status_line

TTFT_MS = 50.0
INTERVAL_MS = 20.0
ANSWER_TOKENS = 50
#: A p99 needs 662 answers (99 % confidence); some of them are cut off by the window's edges.
ANSWERS = 750


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a level is measured and how finely the answer is searched."""

    warm_up_s: float
    window_s: float
    halvings: int


FULL = Effort(warm_up_s=3.0, window_s=15.0, halvings=3)
QUICK = Effort(warm_up_s=2.0, window_s=5.0, halvings=1)


def calibrate(*, quick: bool, processes: int, root: Path, console: Console) -> Calibration:
    """Search the highest rate and keep it in the cache, also when there is none.

    Raises:
        MachineError: without a C compiler.
        LoadError: the load generator failed.
    """
    effort = QUICK if quick else FULL
    compiled_server(root / "exact_server")  # fails here, before anything is said
    with status_line(console) as say:
        tokens_per_s, reason, levels = search(
            lambda streams: measured_level(streams, effort, processes=processes, root=root, say=say),
            halvings=effort.halvings,
        )
    calibration = Calibration(
        fingerprint=fingerprint(processes),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        quick=quick,
        tokens_per_s=tokens_per_s,
        reason=reason,
        levels=levels,
    )
    save_calibration(calibration, root)
    return calibration


def measured_level(
    streams: int, effort: Effort, *, processes: int, root: Path, say: Callable[[str], None]
) -> Level:
    """Measure one number of streams, against a server of its own."""
    answer_s = (TTFT_MS + (ANSWER_TOKENS - 1) * INTERVAL_MS) / 1000
    window_s = max(effort.window_s, math.ceil(ANSWERS / streams * answer_s))
    say(f"{streams} streams")
    request = LoadRequest(
        streams=streams,
        duration_s=window_s,
        warm_up_s=effort.warm_up_s,
        output=f"fixed:{ANSWER_TOKENS}",
        processes=processes,
    )
    with (
        tempfile.TemporaryDirectory(prefix="kilotoken-calibrate-") as scratch,
        ExactServer(root / "exact_server", ttft_ms=TTFT_MS, interval_ms=INTERVAL_MS) as exact,
    ):
        directory = CellDirectory(Path(scratch) / "cell")
        server = ServerUnderTest(exact.url, MODEL)
        spec = request.spec(
            base_url=exact.url,
            model=MODEL,
            vllm_extensions=True,
            records_dir=str(directory.path / "records"),
        )
        window = WindowOf(exact)
        run_cell(spec, server, directory, report=window.hear)
        workload = load_workload(spec.workload, seed=spec.workload_seed)
        document = measure_load(spec, directory, workload, server={"url": exact.url, "model": MODEL})
    if window.lateness is None:
        raise LoadError(f"the load of {streams} streams ended without a window.")
    return judged(level_of(streams, document, window.lateness, offered=streams * ANSWER_TOKENS / answer_s))


@dataclass
class WindowOf:
    """The server's lateness in the measured window: counted anew when it opens, read when it closes."""

    exact: ExactServer
    lateness: Lateness | None = None
    _stage: str = field(default="", init=False)

    def hear(self, progress: Progress) -> None:
        """Follow the cell's stages, half a second behind."""
        before, self._stage = self._stage, str(progress.stage)
        if before == self._stage:
            return
        if self._stage == Stage.WINDOW:
            self.exact.reset_lateness()
        elif before == Stage.WINDOW:
            self.lateness = self.exact.lateness()


def level_of(streams: int, document: dict[str, Any], truth: Lateness, *, offered: float) -> Level:
    """One level from what the client said (`kilotoken load --json`) and what the server knows."""
    ttft, first, later = document["ttft_ms"], truth.first_token_lateness_ms, truth.token_lateness_ms
    return Level(
        streams=streams,
        answers=document["requests"],
        failed=document["failed"],
        offered_tokens_per_s=offered,
        tokens_per_s=document["output_tokens_per_s"],
        ttft_error_p50_ms=_beyond(ttft["p50"], truth.ttft_ms, first.p50),
        ttft_error_p99_ms=_beyond(ttft["p99"], truth.ttft_ms, first.p99),
        voided_ttft_share=document["findings"]["client"]["voided_ttft_share"],
        client_lag_p99_ms=document["client_lag_ms"]["p99"],
        server_first_lateness_p99_ms=first.p99,
        server_lateness_p99_ms=later.p99,
        server_cores=truth.cpu_s / truth.window_s,
        server_scheduling=truth.scheduling,
    )


def _beyond(measured_ms: float | None, told_ms: float, late_ms: float | None) -> float | None:
    return None if measured_ms is None or late_ms is None else measured_ms - told_ms - late_ms


def kept_calibration(processes: int, root: Path) -> Calibration:
    """The calibration that is kept for this machine.

    Raises:
        LoadError: there is none.
    """
    kept = load_calibration(fingerprint(processes), root=root)
    if kept is None:
        raise LoadError(
            f"the client is not calibrated on this machine with {processes} process{'es' * (processes > 1)}.",
            hint="Run `kilotoken calibrate` while nothing else runs (--quick takes a minute).",
        )
    return kept


def calibration_table(calibration: Calibration) -> Table:
    """Levels and answer, for a person."""
    shown = Table(box=None, pad_edge=False, caption=Text(sentence(calibration)), caption_justify="left")
    for heading in (
        "streams", "tokens/s", "delivered", "TTFT error p50", "p99", "server late p99", "first", "server cores",
    ):  # fmt: skip
        shown.add_column(heading, justify="right")
    shown.add_column("")
    for level in calibration.levels:
        delivered = None if level.tokens_per_s is None else level.tokens_per_s / level.offered_tokens_per_s
        shown.add_row(
            str(level.streams),
            "–" if level.tokens_per_s is None else f"{level.tokens_per_s:,.0f}",
            "–" if delivered is None else f"{delivered:.1%}",
            _ms(level.ttft_error_p50_ms),
            _ms(level.ttft_error_p99_ms),
            _ms(level.server_lateness_p99_ms),
            _ms(level.server_first_lateness_p99_ms),
            f"{level.server_cores:.2f}",
            escape("; ".join(filter(None, (level.client_problem, level.server_problem)))) or "right",
        )
    return shown


def _ms(value_ms: float | None) -> str:
    return "–" if value_ms is None else f"{value_ms:.2f} ms"


def sentence(calibration: Calibration) -> str:
    """The answer in one sentence."""
    at = calibration.measured_at
    if calibration.tokens_per_s is None:
        return f"Void ({at}): no rate was found at which the client is right. {calibration.reason}."
    return (
        f"The client of this machine is right up to {calibration.tokens_per_s:,.0f} tokens/s ({at}"
        f"{', quick' if calibration.quick else ''}). It ended there: {calibration.reason}."
    )

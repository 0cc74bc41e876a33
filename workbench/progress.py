"""What the user sees while a run is in progress: stage, cell, time left, live tokens/s.

On a terminal a live line and a bar; elsewhere (a log file, CI) one plain line per step, so that progress is
visible all along in both.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from workbench.cell import Progress
from workbench.plan import BlockPlan, CellPlan, Estimate


def duration(seconds: float) -> str:
    """`6 min 20 s`, `45 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


class RunProgress:
    """Progress of one run over its cells."""

    def __init__(self, console: Console, *, cells: int, expected: Estimate) -> None:
        self._console = console
        self._cells = cells
        self._done = 0
        self._measured = 0
        self._started_blocks: set[str] = set()
        self._searched = 0  # capacities that are known
        self._recorded = 0  # passes over workloads whose natural lengths are known
        self._expected = expected
        self._before_s = expected.lengths_s + expected.searches_s + expected.lossless_s
        self._started = time.monotonic()
        self._last_plain = ""
        self._bars = Bars(
            TextColumn("[bold]{task.fields[stage]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("cells"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bars.add_task("run", total=cells, stage="", left="")

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bars.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._bars.stop()

    def starting(self, block: BlockPlan, text: str) -> None:
        """A block's server is being prepared."""
        self._show(f"{block.block_id}: {text}", plain=f"{block.block_id}: {text.split(' (')[0]}")

    def cell_started(self, block: BlockPlan, cell: CellPlan) -> str:
        """A cell begins; returns its label."""
        self._started_blocks.add(block.block_id)
        return self.cell_label(block, cell)

    @staticmethod
    def cell_label(block: BlockPlan, cell: CellPlan) -> str:
        """What a cell in progress is called."""
        return f"{block.block_id}: {cell.workload}, {cell.driven}"

    def cell(self, label: str, progress: Progress) -> None:
        """The cell in progress reports."""
        rate = f", {progress.output_tokens_per_s:.0f} tokens/s" if progress.output_tokens_per_s else ""
        stage = progress.stage.replace("_", "-")
        self._show(f"{label}: {stage}{rate}", plain=f"{label}: {stage}", partly=progress.share)

    def recording(self, block: BlockPlan, cell: CellPlan, progress: Progress) -> None:
        """Natural lengths of a workload are being recorded."""
        rate = f", {progress.output_tokens_per_s:.0f} tokens/s" if progress.output_tokens_per_s else ""
        label = f"{block.block_id}: {cell.workload}, recording natural lengths"
        self._show(f"{label}{rate}", plain=label)

    def recorded(self, block: BlockPlan, cell: CellPlan, lengths: Mapping[str, int]) -> None:
        """They are known."""
        self._recorded += 1
        mean = sum(lengths.values()) / len(lengths)
        self._console.print(
            f"  recorded    {block.block_id:<14} {cell.workload:<8} {len(lengths)} answers, {mean:.1f} tokens on average",
            highlight=False,
        )

    def probed(self, block: BlockPlan, cell: CellPlan, row: Mapping[str, Any]) -> None:
        """A probe of a search is judged."""
        kept = row["attainment_with_headroom"]
        share = "no request" if kept is None else f"{kept:.1%} of {row['requests']}"
        why = f" ({row['reason'].split(';')[0]})" if row["decision"] == "unjudged" else ""
        self._console.print(
            f"  probe       {block.block_id:<14} {cell.workload:<8} {row['at']:>6g}: {share} met the SLO with headroom, "
            f"{row['decision']}{why}",
            highlight=False,
        )

    def searched(self, block: BlockPlan, cell: CellPlan, found: Mapping[str, Any]) -> None:
        """A search is over."""
        self._searched += 1
        nearest = f"; nearest feasible SLO: {found['nearest_slo']}" if found["nearest_slo"] else ""
        self._console.print(
            f"  capacity    {block.block_id:<14} {cell.workload:<8} {found['sentence']}{nearest}",
            highlight=False,
        )

    def pairs_fixed(self, sentence: str, *, cells: int | None = None) -> None:
        """The number of pairs is known, or the budget is at its end. `cells`: how many the run has now."""
        if cells is not None:
            share = min(1.0, cells / max(self._expected.cells, 1))
            blocks = round(share * self._expected.blocks)
            duration_s = cells * self._expected.cell_s + blocks * self._expected.start_s
            self._expected = msgspec.structs.replace(
                self._expected, cells=cells, blocks=blocks, duration_s=duration_s + self._before_s
            )
            self._cells = cells
            self._bars.update(self._task, total=cells)
        self._console.print(f"  pairs       {sentence}", highlight=False)

    def cell_left_out(self) -> None:
        """A planned cell has no load: its arm meets the SLO at none."""
        self._done += 1

    def asking(self, block: BlockPlan, name: str, done: int, total: int) -> None:
        """Greedy texts are asked for, in the pass `name`."""
        label = f"{block.block_id}: greedy texts for losslessness, {name} pass"
        self._show(f"{label}, {done} of {total}", plain=label)

    def cell_done(self, block: BlockPlan, cell: CellPlan) -> None:
        """A cell is finished."""
        self._done += 1
        self._measured += 1
        self._console.print(
            f"  done {self._done:>2}/{self._cells}  {block.block_id:<14} {cell.workload:<8} "
            f"{cell.driven:>10}   {self._left()}",
            highlight=False,
        )

    def block_skipped(self, block: BlockPlan) -> None:
        """A block was finished earlier."""
        self._done += len(block.cells) if block.repeat else 0
        self._console.print(f"  kept {block.block_id}: finished earlier", highlight=False)

    def block_done(self, block: BlockPlan) -> None:
        """A block is finished."""
        self._show(f"{block.block_id}: finished")

    def _left(self) -> str:
        """Time left: what was expected of the rest, stretched by how the work so far compares with its share."""
        expected = self._expected
        done_s = self._measured * expected.cell_s + len(self._started_blocks) * expected.start_s
        if self._measured or self._recorded:
            done_s += expected.lengths_s  # recorded before anything is measured, often sooner than expected
        if self._measured or self._searched:
            done_s += expected.searches_s
        left_s = expected.duration_s - done_s
        if self._done == self._cells or left_s <= 0:
            return ""
        elapsed_s = time.monotonic() - self._started
        pace = elapsed_s / done_s if self._measured else 1.0
        return f"about {duration(left_s * pace)} left"

    def _show(self, text: str, *, plain: str = "", partly: float = 0.0) -> None:
        self._bars.update(self._task, stage=text, completed=self._done + partly * 0.99, left=self._left())
        plain = plain or text
        if not self._console.is_terminal and plain != self._last_plain:
            self._last_plain = plain
            elapsed = duration(time.monotonic() - self._started)
            self._console.print(f"  [{elapsed}] {plain}", highlight=False, markup=False)

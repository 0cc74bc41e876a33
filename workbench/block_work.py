"""What is done in one server life: natural lengths, a search for capacity, the cells of a block, float32 texts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from loadtest.workloads.catalogue import files_of, relocated
from serving.config import ServerConfig
from workbench.capacity_found import at_its_load
from workbench.capacity_search import search_capacity
from workbench.cell import Progress, load_spec, run_cell
from workbench.experiment import ArmConfig, AttachSection, Experiment, workload_label
from workbench.experiment_lengths import record_workload
from workbench.losslessness_block import Asker
from workbench.losslessness_float32 import float32_life
from workbench.plan import BlockPlan, CellPlan, Plan
from workbench.progress import RunProgress
from workbench.run_directory import BlockDirectory, RunDirectory, write_json
from workbench.server_under_test import ServerUnderTest, attached_server, placement_for, started_server


@dataclass(frozen=True)
class BlockWork:
    """Starts an arm's server and does in its life what the plan says.

    Each method leaves its files in the attempt's directory and returns the seconds that the start took, None for a server
    that ran already or was not needed.
    """

    run: RunDirectory
    experiment: Experiment
    progress: RunProgress
    base_dir: Path = Path()

    def record_lengths(
        self, plan: Plan, block: BlockPlan, config: ArmConfig, directory: BlockDirectory
    ) -> float | None:
        with self._server(config, block, directory) as server:
            self._write_server_facts(directory, server)
            for cell in block.cells:
                table = record_workload(
                    self.experiment,
                    plan,
                    cell,
                    server,
                    directory.cell(cell),
                    workload_source(self.run.path, cell.workload),
                    report=partial(self.progress.recording, block, cell),
                )
                path = self.run.lengths(cell.workload)
                path.parent.mkdir(exist_ok=True)
                cap = self.experiment.output.max_tokens
                write_json(path, {"arm": block.arm, "model": server.model_name, "cap": cap, "lengths": table})
                self.progress.recorded(block, cell, table)
            return server.startup_s

    def search(self, block: BlockPlan, config: ArmConfig, directory: BlockDirectory) -> float | None:
        with self._server(config, block, directory) as server:
            self._write_server_facts(directory, server)
            for cell in block.cells:
                found = search_capacity(
                    self.experiment,
                    block,
                    cell,
                    server,
                    directory,
                    workload_source(self.run.path, cell.workload),
                    started=partial(self._probe_started, block),
                    probed=partial(self.progress.probed, block, cell),
                )
                path = self.run.capacity(block.arm, cell.workload)
                path.parent.mkdir(exist_ok=True)
                write_json(path, found)
                self.progress.searched(block, cell, found)
            return server.startup_s

    def _probe_started(self, block: BlockPlan, probe: CellPlan) -> Callable[[Progress], None]:
        return partial(self.progress.cell, self.progress.cell_label(block, probe))

    def measure(self, block: BlockPlan, config: ArmConfig, directory: BlockDirectory) -> float | None:
        """The cells of a block. One without a load (no capacity under the SLO) is left out; without any, no server."""
        cells = [cell for cell in (at_its_load(self.run, block, cell) for cell in block.cells) if cell]
        for _ in range(len(block.cells) - len(cells)):
            self.progress.cell_left_out()
        if not cells:
            return None
        with self._server(config, block, directory) as server:
            self._write_server_facts(directory, server)
            for cell in cells:
                cell_directory = directory.cell(cell)
                spec = load_spec(
                    self.experiment,
                    block,
                    cell,
                    server,
                    cell_directory.path / "records",
                    workload_source(self.run.path, cell.workload),
                    lengths=self._lengths_of(cell),
                )
                label = self.progress.cell_started(block, cell)
                run_cell(spec, server, cell_directory, report=partial(self.progress.cell, label))
                self.progress.cell_done(block, cell)
            self._asker().at_end_of_block(block, server, directory)
            return server.startup_s

    def ask_in_float32(self, block: BlockPlan, config: ArmConfig, directory: BlockDirectory) -> float | None:
        @contextmanager
        def start(in_float32: ServerConfig) -> Iterator[ServerUnderTest]:
            with self._server(in_float32, block, directory) as server:
                self._write_server_facts(directory, server)
                yield server

        return float32_life(self._asker(), block, config, directory, start)

    def _asker(self) -> Asker:
        sources = tuple(workload_source(self.run.path, name) for name in self.experiment.workloads)
        return Asker(self.run, self.experiment, sources, self.progress.asking)

    def _lengths_of(self, cell: CellPlan) -> Path | None:
        """Where the load child reads natural lengths; None where answers are free or fixed."""
        if self.experiment.output.length != "natural":
            return None
        return self.run.lengths(cell.workload).resolve()

    def _server(
        self, config: ArmConfig, block: BlockPlan, directory: BlockDirectory
    ) -> AbstractContextManager[ServerUnderTest]:
        if isinstance(config, AttachSection):
            return attached_server(config)

        def report(text: str) -> None:
            self.progress.starting(block, text)

        placement = placement_for(config, report=report, base_dir=self.base_dir)
        return started_server(config, placement, log_path=directory.server / "server.log", report=report)

    @staticmethod
    def _write_server_facts(directory: BlockDirectory, server: ServerUnderTest) -> None:
        command: dict[str, Any] = {"base_url": server.base_url, "version": server.version}
        if server.command is not None:
            command |= {
                "argv": list(server.command.argv),
                "environment": dict(server.command.environment),
            }
        write_json(directory.server / "command.json", command)
        write_json(directory.server / "resolved.json", server.resolved)


def workload_source(run_path: Path, workload: str) -> str:
    """What the load child opens: the same name, its files replaced by the run's own copies."""
    folder = (run_path / "workloads" / workload_label(workload)).resolve()
    return relocated(workload, lambda path: str(folder / Path(path).name))


def copy_workloads(experiment: Experiment, run_path: Path, *, base_dir: Path) -> None:
    """Copy the files that workloads read into the run, so that it stands alone."""
    for workload in experiment.workloads:
        for file in files_of(workload, base_dir=base_dir):
            folder = run_path / "workloads" / workload_label(workload)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / file.name)

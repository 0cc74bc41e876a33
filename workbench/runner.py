"""Run the plan block by block. What is finished stays finished, whatever happens later."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from accounting.errors import Interrupted, KilotokenError
from workbench.block_work import BlockWork
from workbench.experiment import ArmConfig, Experiment
from workbench.pair_count import budget_left_s, fix_pairs, refuse_spent, stop_for_budget, wanted_blocks
from workbench.plan import BlockPlan, estimate
from workbench.progress import RunProgress
from workbench.run_directory import FINISHED, RUNNING, BlockDirectory, RunDirectory

#: What is done in one server life; returns the seconds that its start took, None for a server that ran already.
Work = Callable[[BlockPlan, ArmConfig, BlockDirectory], float | None]


@dataclass(frozen=True)
class Runner:
    """Runs what is left of a plan."""

    run: RunDirectory
    experiment: Experiment
    progress: RunProgress
    base_dir: Path = Path()

    def run_remaining(self) -> None:
        """Run every block that has no finished attempt; first, where it is asked for, record natural lengths, and last
        ask for greedy texts in float32.

        Raises:
            KilotokenError: the first failure; the message says how to go on.
            Interrupted: if the user asked to stop.
        """
        plan = self.run.plan()
        configs = self.experiment.arm_configs(origin=str(self.run.path / "experiment.yaml"))
        work = BlockWork(self.run, self.experiment, self.progress, self.base_dir)
        if plan.lengths is not None:
            self._run_if_left(plan.lengths, configs, partial(work.record_lengths, plan))
        for block in plan.searches:
            if self.run.finished(block) is None:
                refuse_spent(self.run, self.experiment, f"the search for the capacity of {block.arm}")
            self._run_if_left(block, configs, work.search)
        begun = 0
        for block in plan.blocks:
            if block.repeat != begun:
                begun = block.repeat
                if self._enough(block.repeat):
                    break
            self._run_if_left(block, configs, work.measure)
        for block in plan.lossless:
            expected = estimate(self.experiment, plan)
            if budget_left_s(self.run, self.experiment) < expected.float32_life_s:
                self.progress.pairs_fixed("the budget does not cover it: texts are not asked for in float32")
                break
            self._run_if_left(block, configs, work.ask_in_float32)

    def _enough(self, repeat: int) -> bool:
        """Whether no pair is wanted any more: the number fixed from the pilot is reached, or the budget is."""
        pairs = self.experiment.pairs
        if pairs is not None and repeat == pairs.pilot + 1:
            said = fix_pairs(self.run, self.experiment)["sentence"]
            blocks = wanted_blocks(self.run, self.experiment)
            self.progress.pairs_fixed(said, cells=sum(len(block.cells) for block in blocks))
        if not any(block.repeat >= repeat for block in wanted_blocks(self.run, self.experiment)):
            return True
        if reason := stop_for_budget(self.run, self.experiment, repeat):
            self.progress.pairs_fixed(reason)
        return bool(reason)

    def _run_if_left(self, block: BlockPlan, configs: Mapping[str, ArmConfig], work: Work) -> None:
        self._close_stale_attempts(block)
        if self.run.finished(block) is not None:
            self.progress.block_skipped(block)
        else:
            self._run_block(block, configs[block.arm], work)

    def _close_stale_attempts(self, block: BlockPlan) -> None:
        """An attempt that is still `running` while we hold the lock was cut off with its workbench."""
        for attempt in self.run.attempts(block):
            if attempt.status == RUNNING:
                attempt.write_status(
                    "interrupted", arm=block.arm, repeat=block.repeat, held_s=attempt.seen_s()
                )

    def _run_block(self, block: BlockPlan, config: ArmConfig, work: Work) -> None:
        directory = self.run.next_attempt(block)
        begun_s = time.time()
        directory.write_status(RUNNING, arm=block.arm, repeat=block.repeat, begun_s=begun_s)

        def held_s() -> float:
            return time.time() - begun_s

        try:
            startup_s = work(block, config, directory)
        except KeyboardInterrupt:
            directory.write_status("interrupted", arm=block.arm, repeat=block.repeat, held_s=held_s())
            raise Interrupted(
                "stopped as you asked. Finished blocks are kept; the block in progress will be run again whole.",
                hint=f"Go on with: kilotoken run --resume {self.run.path}",
            ) from None
        except KilotokenError as error:
            directory.write_status(
                "failed", arm=block.arm, repeat=block.repeat, held_s=held_s(), error=error.message
            )
            go_on = f"Finished blocks are kept; go on with: kilotoken run --resume {self.run.path}"
            error.hint = f"{error.hint} {go_on}".strip()
            raise
        directory.write_status(
            FINISHED, arm=block.arm, repeat=block.repeat, held_s=held_s(), startup_s=startup_s
        )
        self.progress.block_done(block)

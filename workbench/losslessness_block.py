"""Greedy texts asked for inside a run, at the end of a measured server life.

A server that we start is asked at the end of its arm's first block, when all cells are measured and before it is ended:
nothing measured is touched. A server that runs already lives on through all blocks of its arm, so that it is asked at the
end of the last. The baseline is asked twice, the second time one by one and the other way round: what its
margins move by is its own noise. A pass that fails is recorded with its reason and costs the run nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from accounting.errors import KilotokenError, ServerError
from serving.config import ServerConfig
from workbench.experiment import ArmConfig, AttachSection, Experiment
from workbench.losslessness_answers import AGAIN, FIRST, pass_file, write_missing, write_pass
from workbench.losslessness_pass import PassManner, greedy_pass
from workbench.losslessness_prompts import losslessness_prompts
from workbench.losslessness_scope import Scope, losslessness_scope, speculates
from workbench.losslessness_subjects import facts_of, is_said_to_speculate, seen_speculation
from workbench.pair_count import is_number_of_pairs_known, wanted_blocks
from workbench.plan import BlockPlan
from workbench.run_directory import BlockDirectory, RunDirectory
from workbench.server_under_test import ServerUnderTest, attached_server

CONCURRENCY = 8
#: Kernels choose their path by the number of rows, and all numbers above a few take the same one: on two CPU cores a
#: second pass with 32 in flight was equal to that with 8 to the last bit, and one with a single text at a time was not.
AGAIN_CONCURRENCY = 1

#: block, which pass, answers so far, answers in all
Report = Callable[[BlockPlan, str, int, int], None]


def block_that_asks(blocks: Sequence[BlockPlan], arm: str, config: ArmConfig) -> BlockPlan | None:
    """The one of the measured blocks at whose end an arm is asked; None if there is none of this arm.

    `blocks`: those that the run wants (`workbench.pair_count.wanted_blocks`), not all that were laid out.
    """
    own = [block for block in blocks if block.arm == arm]
    return own[-1 if isinstance(config, AttachSection) else 0] if own else None


@dataclass(frozen=True)
class Asker:
    """Asks the servers of one run; `sources` are what is opened for the experiment's workloads."""

    run: RunDirectory
    experiment: Experiment
    sources: tuple[str, ...]
    report: Report

    def at_end_of_block(self, block: BlockPlan, server: ServerUnderTest, directory: BlockDirectory) -> None:
        """Ask this arm, if it is concerned and this is its block for it."""
        config = self._configs()[block.arm]
        if isinstance(config, AttachSection) and not is_number_of_pairs_known(self.run, self.experiment):
            return  # the pilot's last block is not the last
        asks = block_that_asks(wanted_blocks(self.run, self.experiment), block.arm, config)
        if asks is None or asks.block_id != block.block_id or not self._scope().passes(block.arm):
            return
        if block.arm == self.experiment.baseline_arm:
            concerned = any(_may_speculate(self._configs()[arm]) for arm in self._scope().asked)
        else:
            concerned = speculates(config) or _is_seen_to_speculate(server)
        if concerned:
            self.ask(block, config, server, directory)

    def ask(
        self, block: BlockPlan, config: ArmConfig, server: ServerUnderTest, directory: BlockDirectory
    ) -> None:
        """Make and record the passes of one server life; what fails is recorded with its reason."""
        facts: dict[str, Any] = {"arm": block.arm, "dtype": _dtype(server, config)}
        facts |= {"model": server.model_name, "version": server.version}
        facts |= {"speculation": seen_speculation(server), "numerics": facts_of(server)}
        for name in self.passes(block):
            manner = PassManner(CONCURRENCY) if name == FIRST else PassManner(AGAIN_CONCURRENCY, reverse=True)
            path = pass_file(directory.path, name)
            facts |= {"pass": name, "concurrency": manner.concurrency, "reverse": manner.reverse}
            began_s = time.monotonic()
            try:
                prompts = losslessness_prompts(self.experiment, self.sources)
                if not server.is_vllm:
                    raise ServerError(
                        "it is no vLLM server: token ids and their log-probabilities are needed"
                    )
                answers = greedy_pass(
                    server,
                    prompts,
                    manner,
                    max_tokens=self.experiment.losslessness.max_tokens,
                    ignore_eos=True,
                    report=partial(self.report, block, name),
                )
            except KilotokenError as error:
                write_missing(path, facts, _cause(server, error))
            else:
                write_pass(path, facts | {"seconds": time.monotonic() - began_s}, prompts, answers)

    def passes(self, block: BlockPlan) -> tuple[str, ...]:
        """Names of the passes that a life of this arm is asked for."""
        return (FIRST, AGAIN)[: self._scope().passes(block.arm)]

    def _scope(self) -> Scope:
        return losslessness_scope(self.experiment, self._configs())

    def _configs(self) -> dict[str, ArmConfig]:
        return self.experiment.arm_configs(origin=str(self.run.path / "experiment.yaml"))


def _may_speculate(config: ArmConfig) -> bool:
    """Whether an arm will be asked; of a server that runs already, as it is seen now."""
    if isinstance(config, AttachSection):
        try:
            with attached_server(config) as server:
                return _is_seen_to_speculate(server)
        except KilotokenError:
            return True  # it may be there when its turn comes
    return speculates(config)


def _is_seen_to_speculate(server: ServerUnderTest) -> bool:
    return server.is_vllm and is_said_to_speculate(seen_speculation(server))


def _dtype(server: ServerUnderTest, config: ArmConfig) -> str:
    """The type of the server's numbers as it says, else as declared."""
    said = facts_of(server)["dtype"]
    declared = config.model.dtype if isinstance(config, ServerConfig) else "auto"
    return str(said) if said else declared if declared != "auto" else "as served"


def _cause(server: ServerUnderTest, error: KilotokenError) -> str:
    """Why a pass failed; of a server that has ended, how it ended."""
    try:
        server.explain_death("while its greedy texts were asked for")
    except ServerError as death:
        return death.message
    return error.message

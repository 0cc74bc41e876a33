"""A server life of its own in which an arm is asked for greedy texts in float32, where identity is expected.

One that does not start (memory, a setting that wants another dtype) is a reason on record, and the run goes on; without
the baseline's texts no other arm is started.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from accounting.errors import KilotokenError
from serving.config import ServerConfig
from workbench.experiment import ArmConfig
from workbench.losslessness_answers import FIRST, pass_file, read_pass, write_missing
from workbench.losslessness_block import Asker
from workbench.plan import BlockPlan
from workbench.run_directory import BlockDirectory, RunDirectory
from workbench.server_under_test import ServerUnderTest


def as_float32(config: ServerConfig) -> ServerConfig:
    """The same server with weights and activations in float32."""
    return config.model_copy(update={"model": config.model.model_copy(update={"dtype": "float32"})})


def float32_life(
    asker: Asker,
    block: BlockPlan,
    config: ArmConfig,
    directory: BlockDirectory,
    start: Callable[[ServerConfig], AbstractContextManager[ServerUnderTest]],
) -> float | None:
    """Start the arm in float32 by `start`, ask it; the seconds of its start, None if it did not start."""
    assert isinstance(config, ServerConfig)
    lack = _lack_of_baseline(asker.run, block)
    if not lack:
        try:
            with start(as_float32(config)) as server:
                asker.ask(block, as_float32(config), server, directory)
                return server.startup_s
        except KilotokenError as error:
            lack = f"the server did not start in float32: {error.message}"
    for name in asker.passes(block):
        facts = {"arm": block.arm, "dtype": "float32", "pass": name}
        write_missing(pass_file(directory.path, name), facts, lack)
    return None


def _lack_of_baseline(run: RunDirectory, block: BlockPlan) -> str:
    """Why this arm needs no life: the baseline's brought nothing. Empty where it did."""
    first = run.plan().lossless[0]
    done = run.finished(first) if block.block_id != first.block_id else None
    recorded = None if done is None else read_pass(pass_file(done.path, FIRST))
    return f"the baseline was not asked: {recorded.reason}" if recorded and recorded.reason else ""

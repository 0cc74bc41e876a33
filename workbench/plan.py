"""Experiment -> plan: which block runs when, with which cells in which order. Pure and seeded.

A block is one server life of one arm. Repeats are rounds: in each round every arm runs one block, so that
blocks of one round are neighbours in time. The order of arms is shuffled, and every second round reverses the
one before: with two repeats no arm always goes first, and a steady drift of the host cancels. Within a round
all arms run the same cells in the same order on the same prompts.

With `loads: capacity` each arm has one more server life before all blocks, its search: probes at loads that the search
chooses as it goes. What it finds is where the blocks' cells then run; no price comes from a probe. The plan of pairs is
the same whatever the searches find.

With `output.length: natural` one server life comes before all blocks: the baseline's, in which the lengths of answers
are recorded. With `losslessness.float32` one per arm concerned comes after them. These measure nothing.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping

import msgspec

from workbench.experiment import ArmConfig, AttachSection, Experiment, workload_label
from workbench.loads import CAPACITY, Kind, Level, level_label
from workbench.losslessness_scope import losslessness_scope

#: Seconds that a cell takes beyond warm-up and window: load generator's start, ramp, tail, drain, scrapes.
CELL_OVERHEAD_S = 8.0
#: Seconds from start to healthy, where nothing better is known: (eager, compiled).
START_ESTIMATE_S = (55.0, 110.0)
FAKE_START_ESTIMATE_S = 2.0
#: Natural lengths are recorded for so many times the cells' own time, with at least so many streams: see
#: experiment_lengths.py for why that is enough.
RECORDING_SPARE = 2.0
RECORDING_STREAMS = 16
#: Seconds of one pass of 100 greedy texts of 32 tokens, where nothing better is known: (a small model on two cores, fake).
GREEDY_PASS_ESTIMATE_S = (40.0, 4.0)
#: Seconds around a cell's window in which it sends measured prompts too: ramp and tail.
AROUND_WINDOW_S = 3.0


class CellPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One cell: arm x workload x load, inside one block.

    `streams` in a closed loop, `rate_per_s` in an open one; with `at_capacity` neither is known when the plan is made,
    and the search's answer is filled in when the cell is run or read (`at`).
    """

    cell_id: str
    workload: str
    streams: int | None
    slice_index: int
    slice_count: int
    rate_per_s: float | None = None
    at_capacity: bool = False

    @property
    def load(self) -> str:
        """The load's label: what results are kept under."""
        if self.at_capacity:
            return CAPACITY
        return self.driven

    @property
    def driven(self) -> str:
        """The load in numbers, `capacity` while it is not known."""
        if self.streams is not None:
            return level_label("streams", self.streams)
        return CAPACITY if self.rate_per_s is None else level_label("rate", self.rate_per_s)

    def at(self, kind: Kind, value: float) -> CellPlan:
        """The same cell at a load that is now known."""
        if kind == "streams":
            return msgspec.structs.replace(self, streams=round(value), rate_per_s=None)
        return msgspec.structs.replace(self, streams=None, rate_per_s=value)


class BlockPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One server life. Repeats count from 1; 0 are lives in which nothing is measured for a price: natural lengths, a
    search for capacity, float32 texts.
    """

    block_id: str
    arm: str
    repeat: int
    order_seed: int
    cells: tuple[CellPlan, ...]


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that will be run, in order: first `lengths`, where natural lengths are recorded, then `searches`, one
    an arm, whose cells stand for one search each, then the blocks, then `lossless`, the float32 lives in which greedy
    texts are asked for, the baseline's first.
    """

    blocks: tuple[BlockPlan, ...]
    lengths: BlockPlan | None = None
    searches: tuple[BlockPlan, ...] = ()
    lossless: tuple[BlockPlan, ...] = ()

    @property
    def cell_count(self) -> int:
        """Number of measured cells over all blocks."""
        return sum(len(block.cells) for block in self.blocks)


def make_plan(experiment: Experiment) -> Plan:
    """Lay out blocks and cells. The same experiment gives the same plan."""
    blocks: list[BlockPlan] = []
    arms: list[str] = []
    for repeat in range(1, experiment.laid_out_repeats + 1):
        dice = random.Random(f"plan-{experiment.seed}-{repeat}")
        if repeat % 2:
            arms = list(experiment.arms)
            dice.shuffle(arms)
        else:
            arms.reverse()
        cells = _cells(experiment, dice)
        order_seed = dice.randrange(1 << 31)
        blocks += [BlockPlan(f"r{repeat}-{arm}", arm, repeat, order_seed, cells) for arm in arms]
    return Plan(
        tuple(blocks),
        lengths=_recording(experiment),
        searches=_searches(experiment),
        lossless=_float32_lives(experiment),
    )


def _searches(experiment: Experiment) -> tuple[BlockPlan, ...]:
    """One server life per arm that looks for its capacity on each workload; none where loads are given."""
    section = experiment.loads.capacity
    if section is None:
        return ()
    dice = random.Random(f"plan-{experiment.seed}-search")
    workloads, arms = list(experiment.workloads), list(experiment.arms)
    dice.shuffle(workloads)
    dice.shuffle(arms)
    order_seed = dice.randrange(1 << 31)
    cells = tuple(
        CellPlan(f"{workload_label(name)}-search", name, None, 0, 1, at_capacity=True) for name in workloads
    )
    return tuple(BlockPlan(f"search-{arm}", arm, 0, order_seed, cells) for arm in arms)


def _float32_lives(experiment: Experiment) -> tuple[BlockPlan, ...]:
    scope = losslessness_scope(experiment, experiment.arm_configs(origin=experiment.name))
    return tuple(BlockPlan(f"lossless-{arm}", arm, 0, experiment.seed, ()) for arm in scope.float32)


def _recording(experiment: Experiment) -> BlockPlan | None:
    """The server life that records natural lengths, one pass per workload; None where none are asked for."""
    if experiment.output.length != "natural":
        return None
    streams = max(RECORDING_STREAMS, experiment.loads.most_streams)
    passes = [CellPlan(workload_label(name), name, streams, 0, 1) for name in experiment.workloads]
    return BlockPlan("lengths", experiment.baseline_arm, 0, experiment.seed, tuple(passes))


def recording_limits_s(experiment: Experiment) -> tuple[float, float]:
    """Seconds that a workload's lengths are recorded for if its prompts do not end before: as a rule, and at most.

    The second where answers are so slow that cells would wait for them to the limit of their windows.
    """
    cells = experiment.laid_out_repeats * len(experiment.loads.levels)
    window = experiment.window
    least, longest = (
        RECORDING_SPARE * cells * (seconds + AROUND_WINDOW_S)
        for seconds in (window.minimum_s, window.limit_s)
    )
    return least, longest


def _cells(experiment: Experiment, dice: random.Random) -> tuple[CellPlan, ...]:
    levels = experiment.loads.levels
    cells = [
        _cell(workload, level, index, len(levels))
        for workload, (index, level) in itertools.product(experiment.workloads, enumerate(levels))
    ]
    dice.shuffle(cells)
    return tuple(cells)


def _cell(workload: str, level: Level, index: int, count: int) -> CellPlan:
    cell = CellPlan(f"{workload_label(workload)}-{level.slug}", workload, None, index, count)
    if level.value is None:
        return msgspec.structs.replace(cell, at_capacity=True)
    return cell.at(level.kind, level.value)


class Estimate(msgspec.Struct, frozen=True):
    """What the plan will take, before anything starts. Seconds and USD; estimates, said as such.

    `blocks` and `cells` are measured ones; `lengths_s`, the recording of natural lengths with its server's start, is
    part of the duration, and no more than that unless answers are very slow: it ends with the last prompt. So is
    `searches_s`, the searches for capacity with their servers' starts, with as many probes as a search usually takes.
    """

    blocks: int
    cells: int
    cell_s: float
    duration_s: float
    usd: float
    lengths_s: float = 0.0
    searches_s: float = 0.0
    lossless_s: float = 0.0
    """Greedy texts in measured lives and in float32 ones, with the starts of these; part of the duration."""

    float32_life_s: float = 0.0
    """Mean seconds of a server life that is asked for texts in float32 alone."""

    @property
    def start_s(self) -> float:
        """Mean seconds of a measured server's start."""
        other_s = self.lengths_s + self.searches_s + self.lossless_s
        return (self.duration_s - other_s - self.cells * self.cell_s) / max(self.blocks, 1)


def estimate(experiment: Experiment, plan: Plan, *, origin: str = "experiment") -> Estimate:
    """Estimate duration and rent from the declared windows and typical start times."""
    duration = 0.0
    configs = experiment.arm_configs(origin=origin)
    per_cell = experiment.window.warm_up_s + experiment.window.minimum_s + CELL_OVERHEAD_S
    for block in plan.blocks:
        duration += _start_estimate_s(configs[block.arm]) + per_cell * len(block.cells)
    lengths_s = 0.0
    if plan.lengths is not None:
        per_pass = recording_limits_s(experiment)[0] + CELL_OVERHEAD_S
        lengths_s = _start_estimate_s(configs[plan.lengths.arm]) + per_pass * len(plan.lengths.cells)
    searches_s = sum(
        _start_estimate_s(configs[block.arm]) + _usual_probes(experiment) * per_cell * len(block.cells)
        for block in plan.searches
    )
    lossless_s = _lossless_s(experiment, plan, configs)
    duration += lengths_s + searches_s + lossless_s
    usd = experiment.price.usd_per_hour / 3600.0 * duration
    return Estimate(
        len(plan.blocks),
        plan.cell_count,
        per_cell,
        duration,
        usd,
        lengths_s=lengths_s,
        searches_s=searches_s,
        lossless_s=lossless_s,
        float32_life_s=_float32_life_s(experiment, plan, configs),
    )


def _usual_probes(experiment: Experiment) -> float:
    """Probes of a search whose answer lies in the middle of its range: doublings up to it, halvings around it."""
    section = experiment.loads.capacity
    if section is None:
        return 0.0
    doublings = math.log2(section.highest / section.lowest) / 2 + 2
    return min(section.most_probes, doublings + max(0.0, math.log2(1 / section.resolution) - 1))


def _lossless_s(experiment: Experiment, plan: Plan, configs: Mapping[str, ArmConfig]) -> float:
    """Seconds of all greedy passes, and of the starts of servers that are started for them alone."""
    first = [block for block in plan.blocks if block.repeat == 1]
    passes_s = sum(_passes_s(experiment, block.arm, configs) for block in first)
    return passes_s + len(plan.lossless) * _float32_life_s(experiment, plan, configs)


def _float32_life_s(experiment: Experiment, plan: Plan, configs: Mapping[str, ArmConfig]) -> float:
    """Mean seconds of a server life for texts in float32; 0 where none is planned."""
    arms = [block.arm for block in plan.lossless]
    total = sum(_start_estimate_s(configs[arm]) + _passes_s(experiment, arm, configs) for arm in arms)
    return total / max(len(arms), 1)


def _passes_s(experiment: Experiment, arm: str, configs: Mapping[str, ArmConfig]) -> float:
    """Seconds of an arm's greedy passes."""
    asked = experiment.losslessness
    fake = getattr(getattr(configs[arm], "engine", None), "device", "") == "fake"
    passes = losslessness_scope(experiment, configs).passes(arm)
    return passes * GREEDY_PASS_ESTIMATE_S[fake] * asked.prompts * asked.max_tokens / 3200


def _start_estimate_s(config: ArmConfig) -> float:
    if isinstance(config, AttachSection):
        return 0.0
    if config.engine.device == "fake":
        return FAKE_START_ESTIMATE_S
    return START_ESTIMATE_S[0 if config.engine.enforce_eager else 1]

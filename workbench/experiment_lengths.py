"""The natural lengths of a whole experiment: which prompts are recorded on the baseline, in which order, how many.

Before the first block the baseline is started once more and answers, workload by workload, the prompts that cells can
be expected to send; a table of each workload goes to `lengths/`. The order is made so that a pass that runs out of
time has served every cell alike: first what each cell needs at the least, then one more for each in turn. A cell that
still gets to the end of its prompts ends its window there: none is sent twice.

Why it is enough: the pass keeps at least as many streams busy as any cell, so per second it answers at least as many
prompts as any cell of the baseline, and it lasts `RECORDING_SPARE` times as long as all cells together. An arm may be
so many times as fast as the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accounting.errors import ConfigError, ServerError
from loadtest.prompt_order import ordered_slice
from loadtest.workloads import Split, Workload, load_workload
from workbench.cell import Progress, load_spec
from workbench.experiment import AttachSection, Experiment
from workbench.natural_lengths import PassLimits, record_lengths, refuse_without_vllm
from workbench.plan import CellPlan, Plan, recording_limits_s
from workbench.run_directory import CellDirectory
from workbench.server_under_test import ServerUnderTest, attached_server

#: Answers per stream beside those that a window waits for: under way when it closes.
BEYOND_THE_WINDOW = 1


def wanted_prompts(
    experiment: Experiment, plan: Plan, workload: str, loaded: Workload
) -> tuple[list[str], int]:
    """Ids of the prompts that the plan's cells of a workload draw from, in recording order, and how many are needed
    at the least.
    """
    measured = loaded.of(Split.MEASURED)
    places: dict[str, tuple[int, int]] = {}
    for seed, cell in sorted(_cells(plan, workload), key=lambda pair: (pair[0], pair[1].slice_index)):
        needed = least_prompts(experiment, _streams(cell))
        prompts = ordered_slice(
            measured, seed=seed, slice_index=cell.slice_index, slice_count=cell.slice_count
        )
        for number, prompt in enumerate(prompts):
            place = (max(0, number - needed + 1), number)
            places[prompt.prompt_id] = min(place, places.get(prompt.prompt_id, place))
    order = sorted(places, key=lambda prompt_id: places[prompt_id])
    return order, sum(beyond == 0 for beyond, _ in places.values())


def least_prompts(experiment: Experiment, streams: int) -> int:
    """Prompts without which no cell of so many streams is long enough."""
    return streams * (experiment.window.completions_per_stream + BEYOND_THE_WINDOW)


def _streams(cell: CellPlan) -> int:
    """Natural lengths go with streams only: an experiment with other loads is refused when it is read."""
    assert cell.streams is not None
    return cell.streams


def _cells(plan: Plan, workload: str) -> set[tuple[int, CellPlan]]:
    """Order seed and cell, once for all arms: they send the same prompts."""
    return {
        (block.order_seed, cell) for block in plan.blocks for cell in block.cells if cell.workload == workload
    }


def record_workload(
    experiment: Experiment,
    plan: Plan,
    cell: CellPlan,
    server: ServerUnderTest,
    directory: CellDirectory,
    workload_source: str,
    *,
    report: Callable[[Progress], None],
) -> dict[str, int]:
    """One pass: the natural lengths of a workload's prompts (`turn_key` -> tokens).

    Raises:
        ConfigError: if the server is no vLLM.
        ServerError: if a cell could not be measured with what came back.
    """
    assert plan.lengths is not None
    refuse_without_vllm(server, asked="output.length: natural", instead="`length: free`")
    loaded = load_workload(workload_source, seed=experiment.workload_seed)
    prompts, needed = wanted_prompts(experiment, plan, cell.workload, loaded)
    least_s, longest_s = recording_limits_s(experiment)
    lengths = record_lengths(
        load_spec(
            experiment, plan.lengths, cell, server, directory.path.resolve() / "records", workload_source
        ),
        server,
        directory,
        prompts=prompts,
        streams=_streams(cell),
        limits=PassLimits(least_s=least_s, longest_s=longest_s, enough=needed),
        report=report,
    )
    _refuse_too_few(plan, cell.workload, loaded, lengths)
    return lengths


def _refuse_too_few(plan: Plan, workload: str, loaded: Workload, lengths: Mapping[str, int]) -> None:
    measured = loaded.of(Split.MEASURED)
    for seed, cell in _cells(plan, workload):
        own = ordered_slice(measured, seed=seed, slice_index=cell.slice_index, slice_count=cell.slice_count)
        known = sum(prompt.prompt_id in lengths for prompt in own)
        if known < _streams(cell):
            raise ServerError(
                f"{workload}, {cell.load}: the natural length of {known} prompts could be recorded; "
                f"{cell.streams} are needed at the least.",
                hint="Give the recording more time (a longer window.limit_s), lower output.max_tokens, or measure "
                "smaller loads.",
            )


def check_natural_prompts(experiment: Experiment, workload: str, loaded: Workload) -> None:
    """Refuse prompts that natural lengths cannot be had for, before anything starts.

    Raises:
        ConfigError: if a prompt is not answered greedily, or a cell would come to the end of them too early.
    """
    if experiment.output.length != "natural":
        return
    measured = loaded.of(Split.MEASURED)
    sampled = [p.prompt_id for p in measured if p.sampling is not None and p.sampling.temperature]
    if sampled:
        raise ConfigError(
            f"workload {workload}: {len(sampled)} of its prompts set a temperature ({sampled[0]} first), but "
            "output.length: natural is the length of the greedy answer.",
            hint="Leave the temperature out, or write `length: free`.",
        )
    loads = experiment.loads.streams
    share, needed = len(measured) // len(loads), least_prompts(experiment, max(loads))
    if share < needed:
        raise ConfigError(
            f"workload {workload} has {len(measured)} measured prompts, {share} for each load; {max(loads)} streams "
            f"need {needed} at the least, because with output.length: natural no prompt is sent twice.",
            hint="Add prompts, measure fewer or smaller loads, or write `length: free`.",
        )


def check_natural_baseline(experiment: Experiment, *, origin: str) -> None:
    """Refuse a baseline that runs already and is no vLLM, before anything starts.

    Raises:
        ConfigError: saying what to do.
        ServerError: if nobody answers.
    """
    config = experiment.arm_configs(origin=origin)[experiment.baseline_arm]
    if experiment.output.length != "natural" or not isinstance(config, AttachSection):
        return
    with attached_server(config) as server:
        refuse_without_vllm(
            server,
            asked=f"output.length: natural, whose lengths are recorded on arms.{experiment.baseline_arm},",
            instead="`length: free`, or make an arm that is vLLM the `baseline`",
        )

"""Which prompts a run's losslessness is asked with: the same for every arm, taken in turn from its workloads."""

from __future__ import annotations

from collections.abc import Sequence

from accounting.errors import ConfigError
from loadtest.workloads import Prompt, Split, load_workload
from workbench.experiment import Experiment


def losslessness_prompts(experiment: Experiment, sources: Sequence[str]) -> list[Prompt]:
    """As many as the experiment says, of each workload in turn; measured ones first, then those of the warm-up.

    They are asked when all cells of a server life are measured, so that they may be those cells' own. `sources` are
    what is opened for the experiment's workloads.

    Raises:
        ConfigError: if the workloads do not hold so many.
    """
    loaded = [load_workload(source, seed=experiment.workload_seed) for source in sources]
    waiting = [[*workload.of(Split.MEASURED), *workload.of(Split.WARM_UP)] for workload in loaded]
    wanted, held = experiment.losslessness.prompts, sum(map(len, waiting))
    if held < wanted:
        raise ConfigError(
            f"the workloads hold {held} prompts, {wanted} are needed",
            hint="Add prompts or a workload, or write `losslessness: off`.",
        )
    chosen: list[Prompt] = []
    for number in range(max(map(len, waiting))):
        chosen += [prompts[number] for prompts in waiting if number < len(prompts)]
    return chosen[:wanted]

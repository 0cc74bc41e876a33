"""What `kilotoken run`, `show` and `report` do: prepare, run what is left, evaluate, show."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from accounting.errors import ConfigError, MachineError
from loadtest.workloads import Split, load_workload
from serving.config import ServerConfig
from serving.engine_build import installed_engine
from serving.models.cache import cache_root
from serving.vllm_names import version_warning
from workbench import show as showing
from workbench.block_work import copy_workloads
from workbench.costing import write_comparison, write_cost
from workbench.experiment import Experiment, load_experiment
from workbench.experiment_lengths import check_natural_baseline, check_natural_prompts
from workbench.losslessness_stage import write_losslessness
from workbench.measures import write_measures
from workbench.pair_count import counted_repeats, wanted_blocks
from workbench.plan import Estimate, Plan, estimate, make_plan
from workbench.preparation import check_without_starting, prepare_arms
from workbench.progress import RunProgress, duration
from workbench.provenance import collect_provenance
from workbench.quality.beside_arms import copy_results
from workbench.report_stage import write_report
from workbench.run_directory import RunDirectory, default_run_path, write_json
from workbench.runner import Runner
from workbench.unchecked_drafts import with_unchecked_drafts


def dry_run(path: Path, *, console: Console, unchecked: bool = False) -> None:
    """Show what a run would do and take; start nothing."""
    experiment = load_experiment(path)
    if unchecked:
        experiment = with_unchecked_drafts(experiment)
    check_workloads(experiment, base_dir=path.resolve().parent)
    check_arms(experiment, base_dir=path.resolve().parent, origin=str(path))
    plan = make_plan(experiment)
    expected = estimate(experiment, plan, origin=str(path))
    refuse_beyond_budget(experiment, expected)
    table = Table(title=f"{experiment.name}: blocks in order", title_justify="left", pad_edge=False)
    for column in ("block", "arm", "repeat", "cells in order (workload x load)"):
        table.add_column(column)
    if plan.lengths is not None:
        passes = ", ".join(f"lengths of {cell.workload}" for cell in plan.lengths.cells)
        table.add_row(plan.lengths.block_id, plan.lengths.arm, "-", passes)
    for block in plan.searches:
        sought = ", ".join(f"capacity on {cell.workload}" for cell in block.cells)
        table.add_row(block.block_id, block.arm, "-", sought)
    for block in plan.blocks:
        cells = ", ".join(f"{cell.workload} x {cell.load}" for cell in block.cells)
        table.add_row(block.block_id, block.arm, str(block.repeat), cells)
    for block in plan.lossless:
        table.add_row(block.block_id, block.arm, "-", "greedy texts in float32")
    console.print(table)
    console.print(
        f"{_at_most(experiment)}{expected.cells} cells in {expected.blocks} server lives, each at least "
        f"{experiment.window.minimum_s:g} s of steady window: about {duration(expected.duration_s)}, "
        f"${expected.usd:.3g} at ${experiment.price.usd_per_hour:g} per hour "
        f"({experiment.price.source}, {experiment.price.as_of}). {_beforehand(expected)}{_with_losslessness(expected)}"
        "An estimate; nothing was started."
    )


def _at_most(experiment: Experiment) -> str:
    return "" if experiment.pairs is None else "at most "


def refuse_beyond_budget(experiment: Experiment, expected: Estimate) -> None:
    """Refuse a fixed number of repeats that the budget does not cover, before anything starts.

    With a pilot the number of pairs follows from what is left, and only the pilot must be covered.

    Raises:
        ConfigError: with what it would take.
    """
    if experiment.budget is None:
        return
    limit_s = experiment.budget.seconds(experiment.price.usd_per_hour)
    before_s = expected.lengths_s + expected.searches_s
    needed_s, what = expected.duration_s, f"{experiment.repeats} repeats take"
    if experiment.pairs is not None:
        share = experiment.pairs.pilot / experiment.laid_out_repeats
        needed_s = before_s + share * (expected.duration_s - before_s)
        what = f"the pilot of {experiment.pairs.pilot} pairs alone takes"
    if needed_s > limit_s:
        raise ConfigError(
            f"{what} about {duration(needed_s)} (${needed_s * experiment.price.to_price().usd_per_s:.3g}), the budget is "
            f"{duration(limit_s)} (${limit_s * experiment.price.to_price().usd_per_s:.3g}).",
            hint="Raise the budget, or lower repeats, workloads, loads or window.minimum_s.",
        )


def _beforehand(expected: Estimate) -> str:
    """What of the time is not measurement."""
    if expected.searches_s:
        return (
            f"About {duration(expected.searches_s)} of it go into one more server life per arm, in which its capacity "
            "is searched for. "
        )
    if not expected.lengths_s:
        return ""
    return (
        f"Up to {duration(expected.lengths_s)} of it go into one more server life, in which natural lengths are "
        "recorded. "
    )


def _with_losslessness(expected: Estimate) -> str:
    if not expected.lossless_s:
        return ""
    return f"About {duration(expected.lossless_s)} of it go into greedy texts that show whether answers changed. "


def start(
    path: Path, out_dir: Path | None, *, argv: Sequence[str], console: Console, unchecked: bool = False
) -> None:
    """Run an experiment from the beginning; `unchecked`: with drafts that failed their check too."""
    experiment = load_experiment(path)
    if unchecked:
        experiment = with_unchecked_drafts(experiment)
    base_dir = path.resolve().parent
    check_workloads(experiment, base_dir=base_dir)
    _prepare(experiment, str(path), base_dir, console)
    plan = make_plan(experiment)
    refuse_beyond_budget(experiment, estimate(experiment, plan, origin=str(path)))
    run_path = out_dir or default_run_path(experiment.name, datetime.now().astimezone())
    provenance = collect_provenance(argv) | {"base_dir": str(base_dir)}
    run = RunDirectory.create(run_path, path.read_text(encoding="utf-8"), plan, provenance)
    copy_workloads(experiment, run.path, base_dir=base_dir)
    _run(run, experiment, plan, console)


def resume(run_path: Path, given: Path | None, *, console: Console, unchecked: bool = False) -> None:
    """Go on with a run; finished blocks are kept."""
    run = RunDirectory.open(run_path)
    experiment = run.experiment()
    if given is not None and load_experiment(given) != experiment:
        raise ConfigError(
            f"{given} is not the experiment of {run_path}.",
            hint="Leave the file out to go on with the run's own, or start a new run.",
        )
    if unchecked:
        experiment = with_unchecked_drafts(experiment)
    base_dir = Path(run.read_json("provenance.json").get("base_dir", "."))
    _prepare(experiment, str(run.path / "experiment.yaml"), base_dir, console)
    with run.lock():
        provenance = run.read_json("provenance.json")
        provenance.setdefault("resumed", []).append(collect_provenance(sys.argv))
        write_json(run.path / "provenance.json", provenance)
    plan = run.plan()
    left = tuple(block for block in wanted_blocks(run, experiment) if run.finished(block) is None)
    unrecorded = plan.lengths is not None and run.finished(plan.lengths) is None
    searches = tuple(block for block in plan.searches if run.finished(block) is None)
    unasked = tuple(block for block in plan.lossless if run.finished(block) is None)
    lengths = plan.lengths if unrecorded else None
    _run(run, experiment, Plan(left, lengths=lengths, searches=searches, lossless=unasked), console)


def start_or_go_on(path: Path, run_path: Path, *, argv: Sequence[str], console: Console) -> None:
    """Run an experiment into this directory, or go on there. What was cut off before it had a plan begins anew."""
    if (run_path / "plan.json").is_file():
        resume(run_path, None, console=console)
    else:
        shutil.rmtree(run_path, ignore_errors=True)
        start(path, run_path, argv=argv, console=console)


def _run(run: RunDirectory, experiment: Experiment, plan: Plan, console: Console) -> None:
    expected = estimate(experiment, plan, origin=str(run.path))
    console.print(
        f"{experiment.name}: {_at_most(experiment)}{expected.cells} cells in {expected.blocks} server lives, "
        f"about {duration(expected.duration_s)}. {_beforehand(expected)}{_with_losslessness(expected)}"
        f"Run directory: {run.path}"
    )
    base_dir = Path(run.read_json("provenance.json").get("base_dir", "."))
    with run.lock():
        with RunProgress(console, cells=run.plan().cell_count, expected=expected) as progress:
            Runner(run, experiment, progress, base_dir).run_remaining()
        report = evaluate(run, experiment)
    console.print(showing.table(showing.results(run, experiment), width=console.width))
    console.print(f"Report: {report}", soft_wrap=True)


def evaluate(run: RunDirectory, experiment: Experiment) -> Path:
    """Files -> measures -> cost -> comparison -> losslessness -> quality -> report. Returns the report's path."""
    counted = counted_repeats(run, experiment)
    cells = write_measures(run, experiment, counted)
    write_cost(run, experiment.price.to_price())
    write_comparison(run, experiment, counted)
    write_losslessness(run, experiment)
    copy_results(run, experiment, cache_root())
    return write_report(run, experiment, cells)


def opened(run_path: Path) -> tuple[RunDirectory, Experiment]:
    """An existing run and its experiment."""
    run = RunDirectory.open(run_path)
    return run, run.experiment()


def check_file(path: Path) -> None:
    """Refuse an experiment's file that could not be run, from what is here already; nothing is fetched or started.

    Raises:
        ConfigError: saying why.
    """
    experiment = load_experiment(path)
    check_workloads(experiment, base_dir=path.resolve().parent)
    check_arms(experiment, base_dir=path.resolve().parent, origin=str(path))


def check_workloads(experiment: Experiment, *, base_dir: Path) -> None:
    """Load every workload once: a missing file or unfit prompts must not show after an hour.

    Raises:
        ConfigError: naming the workload.
    """
    cells = len(experiment.loads.levels)
    for name in experiment.workloads:
        workload = load_workload(name, seed=experiment.workload_seed, base_dir=base_dir)
        for split in (Split.WARM_UP, Split.MEASURED):
            if len(workload.of(split)) < cells:
                raise ConfigError(
                    f"workload {name} has {len(workload.of(split))} {split} prompts; {cells} loads need at "
                    f"least one each, and a prompt is never used in two cells of one server life.",
                    hint="Add prompts, or measure fewer loads.",
                )
        check_natural_prompts(experiment, name, workload)


def check_arms(experiment: Experiment, *, base_dir: Path, origin: str) -> None:
    """Refuse arms that the engine would not run as declared, from what is on this machine already.

    Raises:
        ConfigError: naming the arm, with the reason and the way out.
    """
    for name, config in experiment.arm_configs(origin=origin).items():
        if isinstance(config, ServerConfig):
            check_without_starting(config, base_dir=base_dir, origin=f"{origin}: arms.{name}")


def _prepare(experiment: Experiment, origin: str, base_dir: Path, console: Console) -> None:
    """Refuse before anything starts what any arm would fail on: no engine, no model, settings it would not obey."""
    if sys.platform != "linux":
        raise MachineError("kilotoken runs servers on Linux only.")
    configs = {
        name: config
        for name, config in experiment.arm_configs(origin=origin).items()
        if isinstance(config, ServerConfig)
    }
    engine = installed_engine()
    if engine is not None and configs and (warning := version_warning(engine.version)):
        console.print(f"Warning: {warning}", style="yellow", soft_wrap=True)
    with console.status("preparing") as status:
        check_natural_baseline(experiment, origin=origin)
        known = prepare_arms(configs, base_dir=base_dir, report=lambda text: status.update(escape(text)))
    for caution in known:
        console.print(f"Note: {caution}.", style="yellow", markup=False, soft_wrap=True)

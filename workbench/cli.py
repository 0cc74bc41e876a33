"""The one boundary: reads argv, prints, exits. Every error a user can cause ends here as one paragraph."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape
from rich.table import Table

from accounting.errors import ConfigError, Interrupted, KilotokenError, MachineError
from workbench.cli_calibrate import calibrate
from workbench.cli_catalogues import devices, prices
from workbench.cli_collect import collect
from workbench.cli_compare import compare
from workbench.cli_draft import draft_app
from workbench.cli_estimate import estimate
from workbench.cli_load import load, load_worker
from workbench.cli_losslessness import losslessness
from workbench.cli_map import crossover
from workbench.cli_models import models_app
from workbench.cli_plan import plan
from workbench.cli_price import price
from workbench.cli_profile import profile
from workbench.cli_replay import replay
from workbench.cli_runs import runs
from workbench.experiment import load_experiment, load_server, load_server_config
from workbench.terminal import JsonFlag, UncheckedFlag, err, out, print_json

app = typer.Typer(
    name="kilotoken",
    help="What a thousand tokens cost on your box, and which speculation, batching and KV-cache policy makes "
    "them cheapest: measured on a real vLLM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
# Typer carries its own copy of click and exports only this subclass of its usage errors.
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]

RunPath = Annotated[Path, typer.Argument(help="Run directory.", show_default=False)]


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("experiment.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Look at this machine and write a first experiment for it."""
    from serving.engine_build import installed_engine
    from workbench.first_experiment import first_experiment
    from workbench.provenance import gpu_names, hardware, machine_sentence
    from workbench.schema import SCHEMA_FILE, experiment_schema

    if path.exists() and not force:
        raise ConfigError(f"{path} exists already.", hint="Give another name, or --force to overwrite it.")
    machine = machine_sentence(hardware())
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in path.stem).strip("._-") or "experiment"
    text = first_experiment(
        name=name[:64],
        file=str(path),
        machine=machine,
        engine=installed_engine(),
        gpus=len(gpu_names()),
        today=datetime.now(UTC).date(),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.with_name(SCHEMA_FILE).write_text(json.dumps(experiment_schema(), indent=2) + "\n")
    except OSError as error:
        raise MachineError(f"{path} cannot be written: {error.strerror or error}.") from error
    out.print(f"This machine: {machine}.")
    out.print(f"Wrote {path} and {path.with_name(SCHEMA_FILE)} (for your editor).")
    out.print("Next: put your price in, then")
    out.print(f"  kilotoken run {path} --dry-run   # what it would take")
    out.print(f"  kilotoken run {path}")


@app.command()
def run(
    experiment: Annotated[
        Path | None, typer.Argument(help="Experiment file (YAML); may be left out with --resume.")
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Run directory; runs/<time>-<name> by default.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show cells, minutes and dollars; start nothing.")
    ] = False,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Go on with this run: finished blocks are kept.")
    ] = None,
    unchecked: UncheckedFlag = False,
) -> None:
    """Run an experiment: start each server, drive the load, measure, price, compare, report."""
    from workbench import run_command

    if resume is not None:
        if out_dir is not None or dry_run:
            raise ConfigError("--resume goes on in its own directory; --out and --dry-run do not go with it.")
        run_command.resume(resume, experiment, console=out, unchecked=unchecked)
    elif experiment is None:
        raise ConfigError(
            "which experiment?",
            hint="Give a file: kilotoken run experiment.yaml (write one with `kilotoken init`).",
        )
    elif dry_run:
        run_command.dry_run(experiment, console=out, unchecked=unchecked)
    else:
        run_command.start(experiment, out_dir, argv=sys.argv, console=out, unchecked=unchecked)


@app.command()
def show(run_path: RunPath, as_json: JsonFlag = False) -> None:
    """Show a run's results."""
    from workbench import show as showing
    from workbench.run_command import opened

    directory, experiment = opened(run_path)
    document = showing.results(directory, experiment)
    if as_json:
        print_json(document)
    else:
        out.print(showing.table(document, width=out.width))


@app.command()
def report(run_path: RunPath) -> None:
    """Make measures, costs, comparison and report of a run again from its files."""
    from workbench.run_command import evaluate, opened

    directory, experiment = opened(run_path)
    with directory.lock():
        out.print(f"Report: {evaluate(directory, experiment)}")


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="Experiment or server configuration (YAML).")],
) -> None:
    """Check a file without starting anything."""
    from serving.config import ServerConfig
    from workbench.plan import make_plan
    from workbench.preparation import check_without_starting
    from workbench.run_command import check_arms, check_workloads
    from workbench.strict_yaml import read_yaml

    if {"arms", "name"} & read_yaml(file).keys():
        experiment = load_experiment(file)
        check_workloads(experiment, base_dir=file.resolve().parent)
        check_arms(experiment, base_dir=file.resolve().parent, origin=str(file))
        plan = make_plan(experiment)
        recording = "" if plan.lengths is None else "; natural lengths are recorded in one more server life"
        lives = len(plan.lossless)
        texts = f"; greedy texts in float32 take {lives} more server lives" if lives else ""
        out.print(
            f"{file} is a valid experiment: {len(experiment.arms)} arms, {len(plan.blocks)} server lives, "
            f"{plan.cell_count} cells{recording}{texts}."
        )
    else:
        config = load_server(file)
        if isinstance(config, ServerConfig):
            check_without_starting(config, base_dir=file.resolve().parent, origin=str(file))
        out.print(f"{file} is a valid server configuration.")


@app.command()
def schema() -> None:
    """Print the JSON schema of experiment files, for editors."""
    from workbench.schema import experiment_schema

    print_json(experiment_schema())


@app.command()
def doctor(
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure bandwidth and matrix rates, for `kilotoken estimate`.")
    ] = False,
    engine: Annotated[
        bool,
        typer.Option(
            "--engine", help="With --measure: also serve a small model for the engine's own time per step."
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Examine this machine: engine, devices, preload libraries, ports, disk, clock, what to install."""
    from workbench.doctor import Health, examine

    if engine and not measure:
        raise ConfigError("--engine goes with --measure: kilotoken doctor --measure --engine.")
    if measure:
        _measure_device(as_json=as_json, engine=engine)
        return
    findings = examine()
    if as_json:
        print_json(
            [
                {"subject": f.subject, "health": f.health, "found": f.found, "remedy": f.remedy}
                for f in findings
            ]
        )
    else:
        table = Table(show_header=False, box=None, pad_edge=False)
        colours = {Health.OK: "green", Health.NOTE: "yellow", Health.MISSING: "red"}
        for f in findings:
            table.add_row(
                f"[{colours[f.health]}]{f.health}[/]",
                f.subject,
                escape(f.found),
                f"[dim]{escape(f.remedy)}[/]",
            )
        out.print(table)
    if any(f.health is Health.MISSING for f in findings):
        raise typer.Exit(MachineError.exit_code)


def _measure_device(*, as_json: bool, engine: bool) -> None:
    from serving.number_type import this_processor_is_slow_in_16_bits
    from workbench.measured_device import THIS_MACHINE, device_file, measure_device

    document = measure_device(
        say=lambda stage: err.print(f"  {stage}", markup=False), slow=this_processor_is_slow_in_16_bits()
    )
    if engine:
        from workbench import run_command
        from workbench.engine_overhead import measure_engine

        document = measure_engine(
            run=lambda file, directory: run_command.start(file, directory, argv=sys.argv, console=err)
        )
    if as_json:
        print_json(document)
        return
    rates = document["rows_flops_per_s"]
    out.print(f"{document['machine']}: reads weights at {document['bandwidth_bytes_per_s'] / 1e9:.1f} GB/s")
    for rows, rate in rates.items():
        out.print(f"  matrix products of {rows:>3} rows: {rate / 1e9:,.0f} GFLOP/s")
    out.print(f"  starting a layer's operations: {document['layer_overhead_s'] * 1e6:.0f} microseconds")
    if fitted := document.get("engine"):
        worst = max(abs(load["fitted_error"]) for load in fitted["loads"])
        took = {name: number * 1e3 for name, number in fitted["overhead"].items()}
        out.print(
            f"  the engine, a step: {took['step_s']:.2f} ms, {took['token_s']:.2f} ms a sequence, {took['layer_s']:.3f} ms a "
            f"layer, {took['layer_token_s']:.4f} ms a sequence in a layer; matrices at "
            f"{fitted['overhead']['matrix_share']:.0%} of their speed alone ({len(fitted['loads'])} loads of "
            f"{', '.join(fitted['models'])}, met within {worst:.0%})"
        )
    out.print(
        f"Kept in {device_file()}, as the device `{THIS_MACHINE}` of `kilotoken estimate`.", markup=False
    )


@app.command()
def serve(
    config: Annotated[
        Path | None, typer.Argument(help="Server configuration (YAML); the default model without one.")
    ] = None,
    print_command: Annotated[
        bool, typer.Option("--print-command", help="Print environment and command line; start nothing.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    log: Annotated[Path, typer.Option(help="Log file of the server.")] = Path("kilotoken-server.log"),
    unchecked: UncheckedFlag = False,
) -> None:
    """Start a vLLM server from a configuration, on the loopback interface, until Ctrl-C."""
    from serving.config import ServerConfig
    from workbench import serve_command
    from workbench.unchecked_drafts import with_unchecked_draft

    settings = load_server_config(config) if config else ServerConfig()
    if unchecked:
        settings = with_unchecked_draft(settings)
    base_dir = config.resolve().parent if config else Path.cwd()
    if print_command:
        command = serve_command.command_for(settings, port=port, base_dir=base_dir)
        for key, value in sorted(command.environment.items()):
            out.print(f"{key}={shlex.quote(value)} \\", markup=False, soft_wrap=True)
        out.print(shlex.join(command.argv), markup=False, soft_wrap=True)
    else:
        serve_command.serve(settings, port=port, log_path=log, base_dir=base_dir, console=err)


@app.command("import-command")
def import_vllm_command(
    line: Annotated[str, typer.Argument(help="The whole command in quotes: 'vllm serve MODEL --flag ...'.")],
    out_file: Annotated[Path | None, typer.Option("--out", help="File to write; printed by default.")] = None,
) -> None:
    """Turn an existing `vllm serve ...` line into a server configuration."""
    from workbench.imported_config import imported_yaml

    text, left_out = imported_yaml(line)
    if out_file is None:
        sys.stdout.write(text)
    elif out_file.exists():
        raise ConfigError(f"{out_file} exists already.", hint="Give another name with --out.")
    else:
        out_file.write_text(text, encoding="utf-8")
        out.print(f"Wrote {out_file}. Next: kilotoken validate {out_file}")
    for reason in left_out:
        err.print(f"left out: {reason}", markup=False, style="yellow")


@app.command()
def quality(
    config: Annotated[
        Path, typer.Argument(help="Server configuration or experiment (YAML), or a run directory.")
    ],
    set_name: Annotated[str, typer.Option("--set", help="gsm8k, humaneval, or a .jsonl file.")] = "gsm8k",
    n: Annotated[int, typer.Option("--n", min=1, help="Items, chosen by the seed.")] = 100,
    seed: Annotated[int, typer.Option(help="Which items; the same for every configuration.")] = 1,
    arm: Annotated[
        str | None, typer.Option(help="Arm of an experiment; without it every arm with numerics of its own.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="An earlier result on the same items, for the paired difference.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests in flight.")] = 8,
    allow_code_execution: Annotated[
        bool, typer.Option("--allow-code-execution", help="Execute what the model wrote (humaneval).")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure anew what is known already.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Score a configuration, and how likely it holds the right answers: what a change of numerics costs."""
    from serving.models.cache import cache_root
    from workbench.quality.command import QualityRequest, measure
    from workbench.quality.sets import load_set
    from workbench.quality.subjects import subjects_of
    from workbench.quality.table import quality_table
    from workbench.status_line import status_line

    request = QualityRequest(
        quality_set=load_set(set_name, base_dir=Path.cwd()),
        n=n,
        seed=seed,
        concurrency=concurrency,
        root=cache_root(),
        allow_code_execution=allow_code_execution,
        anew=again,
    )
    with status_line(err) as say:
        documents = measure(subjects_of(config, arm, report=say), request, against=against, say=say)
    if as_json:
        print_json(documents)
    else:
        out.print(quality_table(documents))


app.command("load")(load)
app.command("calibrate")(calibrate)
app.command("compare")(compare)
app.command("price")(price)
app.command("estimate")(estimate)
app.command("runs")(runs)
app.command("prices")(prices)
app.command("devices")(devices)
app.command("load-worker")(load_worker)
app.command("collect")(collect)
app.command("replay")(replay)
app.command("losslessness")(losslessness)
app.command("profile")(profile)
app.command("map")(crossover)
app.command("plan")(plan)
app.add_typer(models_app, name="models")
app.add_typer(draft_app, name="draft")


@app.command(
    "fake-server",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def fake_server(context: typer.Context) -> None:
    """Run the fake server: OpenAI streams and vLLM's metrics with scripted timing and faults (no model)."""
    os.execv(sys.executable, [sys.executable, "-m", "serving.fake_server", *context.args])


def _fail(error: KilotokenError) -> NoReturn:
    label = "Stopped" if isinstance(error, Interrupted) else "Error"
    colour = "yellow" if isinstance(error, Interrupted) else "red"
    paragraph = f"[bold {colour}]{label}:[/] {escape(error.message)}"
    if error.hint:
        paragraph += f" {escape(error.hint)}"
    err.print(paragraph, soft_wrap=True)
    if error.details:
        err.print(error.details, markup=False, style="dim", soft_wrap=True)
    sys.exit(error.exit_code)


def _stop(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main(command: Callable[..., Any] = app) -> None:
    """Entry point of the `kilotoken` command."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        code = command(standalone_mode=False)
    except KilotokenError as error:
        _fail(error)
    except (KeyboardInterrupt, typer.Abort):
        _fail(Interrupted("stopped as you asked."))
    except typer.Exit as leaving:
        sys.exit(leaving.exit_code)
    except USAGE_ERROR as error:
        if not error.format_message():  # no command at all: the help was printed
            sys.exit(ConfigError.exit_code)
        hint = "`kilotoken --help` lists the commands, `kilotoken COMMAND --help` its options."
        _fail(ConfigError(error.format_message().rstrip(".") + ".", hint=hint))
    except BrokenPipeError:
        # The reader (`| head`) has gone: not an error, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        # A disk that fills, a directory that vanishes: whatever was finished is on disk already.
        place = f" ({error.filename})" if error.filename else ""
        _fail(
            MachineError(f"{error.strerror or error}{place}.", hint="Finished blocks are kept; see --resume.")
        )
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()

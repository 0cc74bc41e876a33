"""The `kilotoken draft` commands: argv in, `workbench.drafting` does the work."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from workbench.terminal import JsonFlag, err, out, print_json

draft_app = typer.Typer(
    help="Make a draft for a target and its traffic, and check one.",
    rich_markup_mode="rich",
    no_args_is_help=True,
)


@draft_app.command("check")
def draft_check(
    draft: Annotated[
        str, typer.Argument(help="Draft model or head, a name or a directory.", show_default=False)
    ],
    target: Annotated[str, typer.Option(help="Its target, a name or a directory.", show_default=False)],
    k: Annotated[int, typer.Option("--k", min=1, max=16, help="Drafted tokens per step.")] = 5,
    workload: Annotated[
        list[str] | None,
        typer.Option(help="Prompts for the live server; again for more; chat and copy by default."),
    ] = None,
    prompts: Annotated[int, typer.Option(min=1, help="Prompts of each workload.")] = 40,
    max_tokens: Annotated[int, typer.Option(min=8, help="Longest answer, tokens.")] = 64,
    dtype: Annotated[
        Literal["auto", "bfloat16", "float16", "float32"], typer.Option(help="Type that both are served in.")
    ] = "auto",
    live: Annotated[bool, typer.Option(help="Serve it and hold acceptance against the replay.")] = True,
    log: Annotated[Path, typer.Option(help="Log file of the server.")] = Path("kilotoken-draft-check.log"),
    as_json: JsonFlag = False,
) -> None:
    """Is a draft whole, its target's, what was trained, and served as it was judged? Exit 4 if not."""
    from accounting.errors import ModelError
    from workbench.drafting.check import DEFAULT_WORKLOADS, CheckRequest, check_draft
    from workbench.drafting.check_table import check_table
    from workbench.drafting.live import LiveAsk
    from workbench.status_line import status_line

    ask = LiveAsk(tuple(workload or DEFAULT_WORKLOADS), prompts, max_tokens)
    request = CheckRequest(draft, target, k, ask if live else None, dtype)
    with status_line(err) as say:
        document = check_draft(request, base_dir=Path.cwd(), log=log, say=say)
    if as_json:
        print_json(document)
    else:
        out.print(check_table(document))
    if not document["passed"]:
        raise typer.Exit(ModelError.exit_code)


@draft_app.command("make")
def draft_make(
    target: Annotated[str, typer.Option(help="The target, a name or a directory.", show_default=False)],
    kind: Annotated[
        Literal["distil", "eagle3"], typer.Option(help="A draft model, or a head on the target.")
    ],
    budget: Annotated[str, typer.Option(help="Time for everything: 90m, 2h.", show_default=False)],
    out_dir: Annotated[
        Path, typer.Option("--out", help="Directory; begun there, it goes on.", show_default=False)
    ],
    workload: Annotated[
        list[str] | None,
        typer.Option(
            help="A built-in workload, a file or a mix; again for more. Those of --traces without.",
            show_default=False,
        ),
    ] = None,
    traces: Annotated[
        Path | None,
        typer.Option(help="Answers of the target that `kilotoken collect` kept; then none are asked for."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="distil: a small model of the target's tokenizer; layers of the target without."),
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", min=1, max=16, help="Drafted tokens; distil 4, eagle3 3 by default.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=8, help="Longest answer to learn from, tokens; 192 by default.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=2, help="Prompts of each workload; all without.")] = None,
    temperature_mix: Annotated[
        str | None, typer.Option(help="Temperatures of training answers and their shares: 0:0.7,0.8:0.3.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of prompts, training and comparison.")] = 1,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the training: learning_rate=1e-3.")
    ] = None,
    compare: Annotated[bool, typer.Option(help="Compare with no speculation at the end.")] = True,
    price: Annotated[str | None, typer.Option(help="A name in the catalogue (`kilotoken prices`).")] = None,
    usd_per_hour: Annotated[float | None, typer.Option(help="Or an amount.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a draft from a target and its traffic: collect, train, check, compare, write its card."""
    from datetime import UTC, datetime

    from accounting.errors import ModelError
    from workbench import run_command
    from workbench.drafting.answer_options import answer_options
    from workbench.drafting.make import compare_made, make_draft
    from workbench.drafting.make_table import make_table
    from workbench.drafting.request import MakeRequest
    from workbench.drafting.settings import parse_settings
    from workbench.drafting.time_budget import parse_budget
    from workbench.given_price import given_price
    from workbench.status_line import status_line

    answers = answer_options(workload or (), traces, max_tokens=max_tokens, count=count, mix=temperature_mix)
    request = MakeRequest(
        target=target,
        kind=kind,
        budget_s=parse_budget(budget),
        out=out_dir,
        start=start,
        k=k,
        seed=seed,
        compare=compare,
        price=given_price(price, usd_per_hour, datetime.now(UTC).date()),
        settings=parse_settings(setting or [], kind),
        **answers,
    )
    with status_line(err) as say:
        made = make_draft(request, argv=sys.argv, say=say)
    run = partial(run_command.start_or_go_on, argv=sys.argv, console=err)
    document = compare_made(made, run)
    if as_json:
        print_json(document)
    else:
        out.print(make_table(document))
    if not document["check"]["passed"]:
        raise typer.Exit(ModelError.exit_code)

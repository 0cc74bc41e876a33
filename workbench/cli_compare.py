"""The `kilotoken compare` command: argv in, `compare_command` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accounting.errors import ConfigError
from workbench.terminal import JsonFlag, err, out, print_json

NOT_SHOWN = 3


def compare(
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run directory.")],
    rest: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ARM [ARM]] | RUN [ARM [ARM]]", help="ARM against ARM (the baseline), or a second run."
        ),
    ] = None,
    margin: Annotated[str | None, typer.Option(help="What counts as no dearer; 3% by default.")] = None,
    fail_if: Annotated[
        str | None, typer.Option(help="dearer: exit 3 unless cost is shown to stay within the margin.")
    ] = None,
    metric: Annotated[list[str] | None, typer.Option(help="Only this metric; may be repeated.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare arms of a run pair by pair, or two runs unpaired: ratio, interval, word, what deciding would cost."""
    from workbench import compare_command as command
    from workbench.compare_table import compare_table

    if fail_if not in (None, "dearer"):
        raise ConfigError(f"--fail-if {fail_if!r} is not known.", hint="`--fail-if dearer` is what there is.")
    metrics = command.metrics_of(metric or [])
    if fail_if and all(m.key not in ("cost", "slo_cost") for m in metrics):
        raise ConfigError(
            "--fail-if dearer judges cost.",
            hint="Add --metric cost (slo_cost at `loads: capacity`), or leave --metric out.",
        )
    document = command.compare(run_path, rest or [], margin=command.margin_of(margin), metrics=metrics)
    if fail_if and document["design"] != "paired":
        raise ConfigError(
            "--fail-if dearer needs pairs: two runs are compared unpaired.", hint="Name one run."
        )
    if fail_if:
        command.refuse_fixed_rates(document)
        command.refuse_unjudged(document)
    if as_json:
        print_json(document)
    else:
        out.print(compare_table(document))
    if fail_if and (reasons := command.not_shown(document)):
        for reason in reasons:
            err.print(f"not shown within the margin: {reason}", markup=False, soft_wrap=True)
        raise typer.Exit(NOT_SHOWN)

"""The `kilotoken calibrate` command: argv in, `calibrate_command` does the work."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.terminal import JsonFlag, err, out, print_json


def calibrate(
    quick: Annotated[bool, typer.Option("--quick", help="Shorter and coarser: about a minute.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Show what is kept; measure nothing.")] = False,
    processes: Annotated[int, typer.Option(min=1, max=256, help="Load processes, as in `load`.")] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Find how many tokens/s the load client can take here and still be right. Let nothing else run meanwhile."""
    from serving.models.cache import cache_root
    from workbench import calibrate_command, calibration

    root = cache_root()
    found = (
        calibrate_command.kept_calibration(processes, root)
        if show
        else calibrate_command.calibrate(quick=quick, processes=processes, root=root, console=err)
    )
    if as_json:
        print_json(calibration.document(found))
    else:
        out.print(calibrate_command.calibration_table(found))
    if found.tokens_per_s is None:
        raise typer.Exit(6)  # as a failed load: nothing may be measured with it

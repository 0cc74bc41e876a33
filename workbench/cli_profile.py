"""The `kilotoken profile` command: argv in, `workbench.planning` does the work."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from workbench.terminal import JsonFlag, err, out, print_json


def profile(
    config: Annotated[
        Path, typer.Argument(help="Profile (YAML), or a server configuration.", show_default=False)
    ],
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", help="Directory; begun there, it goes on. In the cache by default."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show server lives, cells and minutes; start nothing.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure anew what is known already.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Measure what a step of the engine takes here, by what is in it: T(B, k, context) of each drafter."""
    from workbench import run_command
    from workbench.planning.profile_command import begin_profile, finish_profile, planned_profile
    from workbench.planning.profile_file import load_profile
    from workbench.planning.profile_table import profile_table
    from workbench.planning.profiled_for import profiled_for
    from workbench.status_line import status_line

    asked, base_dir = load_profile(config), config.resolve().parent
    if dry_run:
        planned_profile(asked, base_dir=base_dir, show=partial(run_command.dry_run, console=out))
        return
    with status_line(err) as say:
        holds_for = profiled_for(asked, base_dir=base_dir, say=say)
        begun = begin_profile(
            asked,
            holds_for,
            base_dir=base_dir,
            out=out_dir,
            again=again,
            say=say,
            check=run_command.check_file,
        )
    document = finish_profile(begun, partial(run_command.start_or_go_on, argv=sys.argv, console=err))
    if as_json:
        print_json(document)
    else:
        out.print(profile_table(document, begun.directory))

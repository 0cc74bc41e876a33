"""The `kilotoken models` commands: argv in, `models_command` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.terminal import JsonFlag, err, out, print_json

models_app = typer.Typer(help="List, fetch, remove and quantize models.", rich_markup_mode="rich")
ModelName = Annotated[str, typer.Argument(help="Model, as in a configuration.", show_default=False)]


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the models that can be named here: size, licence, state. Commands below fetch, remove, quantize."""
    from serving.models.cache import cache_root
    from serving.models.hub_cache import hub_cache_root
    from workbench import models_command

    if context.invoked_subcommand is not None:
        return
    if as_json:
        print_json(models_command.document(cache_root(), hub_cache_root()))
    else:
        out.print(models_command.table(cache_root(), hub_cache_root()))


@models_app.command("fetch")
def models_fetch(name: ModelName) -> None:
    """Make a model ready now, so that the first start does not wait for it."""
    from serving.models.cache import cache_root
    from workbench import models_command

    models_command.fetch(name, root=cache_root(), base_dir=Path.cwd(), console=err)


@models_app.command("remove")
def models_remove(
    name: ModelName, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Remove a model from the cache. A directory of your own is never removed."""
    from serving.models.cache import cache_root
    from serving.models.hub_cache import hub_cache_root
    from workbench import models_command

    models_command.remove(
        name,
        root=cache_root(),
        hub_root=hub_cache_root(),
        base_dir=Path.cwd(),
        confirm=lambda question: yes or typer.confirm(question, err=True),
        console=err,
    )


@models_app.command("quantize")
def models_quantize(
    name: ModelName,
    scheme: Annotated[str, typer.Option(help="int8, int4, fp8, or int8-weights (CUDA only).")] = "int8",
    new_name: Annotated[
        str | None, typer.Option("--as", help="Name of the copy; <name>-<scheme> by default.")
    ] = None,
) -> None:
    """Make a quantised copy that the engine loads; it is named like any model, with its parent and licence."""
    from serving.models.cache import cache_root
    from workbench import models_command

    models_command.quantize(
        name, scheme=scheme, new_name=new_name, root=cache_root(), base_dir=Path.cwd(), console=err
    )

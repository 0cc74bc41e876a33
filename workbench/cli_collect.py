"""The `kilotoken collect` command: argv in, `collect_command` does the work."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from accounting.errors import ConfigError
from workbench.terminal import JsonFlag, err, out, print_json


def collect(
    workload: Annotated[
        list[str],
        typer.Option(help="A built-in workload, a file or a mix; again for more.", show_default=False),
    ],
    out_dir: Annotated[
        Path,
        typer.Option("--out", help="Directory of the traces; begun there, it goes on.", show_default=False),
    ],
    url: Annotated[
        str | None, typer.Option(help="Address of the vLLM server of the target.", show_default=False)
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Or the target, a name or a directory: a server of it is started for this."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Where the server has several.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, tokens.")] = 256,
    count: Annotated[
        int | None, typer.Option(min=1, help="Prompts of each workload; all without it.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests in flight.")] = 8,
    seed: Annotated[int, typer.Option(help="Prompts of a generated workload.")] = 1,
    endpoint: Annotated[Literal["chat", "completions"], typer.Option(help="How prompts are put.")] = "chat",
    heldout_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of templates held out, where a workload marks none.")
    ] = 0.2,
    beyond: Annotated[
        int,
        typer.Option(min=0, max=128, help="Tokens to ask for behind each answer's end, for an exact replay."),
    ] = 0,
    temperature_mix: Annotated[
        str,
        typer.Option(
            help="Temperatures of training answers and their shares: 0:0.7,0.8:0.3. Greedy without."
        ),
    ] = "0:1",
    duration: Annotated[
        float | None,
        typer.Option(min=1, help="Seconds after which nothing new is asked; the same command goes on."),
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the server's API key.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask a served target for answers and keep them as token ids: traces to replay, and to train drafts on."""
    from loadtest.workloads import load_workload
    from workbench.collect_command import CollectRequest
    from workbench.collect_command import collect as collect_traces
    from workbench.collect_table import collect_table
    from workbench.collect_temperatures import parse_mix
    from workbench.status_line import status_line
    from workbench.target_server import target_server

    if (url is None) is (target is None) or (target is not None and (model or api_key_env)):
        raise ConfigError(
            "give --url, or --target alone (a server of it is started then, which needs no --model and no key).",
            hint="For example: kilotoken collect --target tinyllama-1.1b-chat --workload chat --out traces",
        )
    request = CollectRequest(
        url=url or "",
        workloads=tuple(workload),
        max_tokens=max_tokens,
        count=count,
        concurrency=concurrency,
        seed=seed,
        endpoint=endpoint,
        heldout_share=heldout_share,
        beyond=beyond,
        model=model,
        api_key_env=api_key_env,
        temperatures=parse_mix(temperature_mix),
        stop_after_s=duration,
    )
    with ExitStack() as running:
        say = running.enter_context(status_line(err))
        if target is not None:
            say("reading the workloads")
            for name in workload:  # a mistake must not show after a server's start
                load_workload(name, seed=seed)
            log = out_dir / "server.log"
            server = running.enter_context(target_server(target, streams=concurrency, log=log, say=say))
            request = replace(request, url=server.base_url)
        document = collect_traces(request, out=out_dir, argv=sys.argv, say=say)
    if as_json:
        print_json(document)
    else:
        out.print(collect_table(document, str(out_dir)))

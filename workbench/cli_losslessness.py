"""The `kilotoken losslessness` command: argv in, `losslessness_command` does the work, the verdict is the exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.terminal import JsonFlag, err, out, print_json


def losslessness(
    baseline: Annotated[
        str, typer.Option(help="Address of the vLLM server that does not speculate.", show_default=False)
    ],
    candidate: Annotated[
        str, typer.Option(help="Address of the one that does, with the same model.", show_default=False)
    ],
    workload: Annotated[str, typer.Option(help="A built-in workload, a file, or a mix.")] = "chat",
    prompts: Annotated[int, typer.Option(min=1, help="Prompts; at least 100.")] = 100,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens of each answer.")] = 64,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests in flight.")] = 8,
    again_concurrency: Annotated[
        int, typer.Option(min=1, max=256, help="Requests in flight when the baseline is asked again.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Prompts of a generated workload.")] = 1,
    stop_at_end: Annotated[
        bool, typer.Option("--stop-at-end", help="Let answers end by themselves, instead of at --tokens.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="Where a server has several.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds both servers' API key.")
    ] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Write the JSON document there, too.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Does speculation change the answers? Exit 0: no, or within numerical noise; 3: lossy; 4: cannot tell."""
    from accounting.losslessness import LosslessnessWord
    from workbench.losslessness_command import EXIT_CODES, LosslessnessRequest, measure_losslessness
    from workbench.losslessness_table import losslessness_table
    from workbench.status_line import status_line

    request = LosslessnessRequest(
        baseline=baseline,
        candidate=candidate,
        workload=workload,
        prompts=prompts,
        tokens=tokens,
        concurrency=concurrency,
        again_concurrency=again_concurrency,
        seed=seed,
        stop_at_end=stop_at_end,
        model=model,
        api_key_env=api_key_env,
    )
    with status_line(err) as say:
        document = measure_losslessness(request, out=out_file, say=say)
    if as_json:
        print_json(document)
    else:
        out.print(losslessness_table(document))
    raise typer.Exit(EXIT_CODES[LosslessnessWord(document["verdict"])])

"""The `kilotoken load` and `kilotoken load-worker` commands: argv in, `load_command` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadtest.workloads.prompt import Sampling
from workbench.load_request import OUTPUT_HELP, LoadRequest
from workbench.terminal import JsonFlag, err, out, print_json


def load(
    url: Annotated[str, typer.Option("--url", help="OpenAI-compatible server, with or without /v1.")],
    model: Annotated[str | None, typer.Option(help="Served name; the first one listed by default.")] = None,
    workload: Annotated[
        str | None,
        typer.Option(
            help="chat (default), copy, story, code, shared, a file, a mix such as chat*0.7+copy*0.3."
        ),
    ] = None,
    streams: Annotated[
        int | None, typer.Option(min=1, max=65536, help="Closed loop: this many requests in flight.")
    ] = None,
    think_time: Annotated[
        float | None,
        typer.Option(
            min=0, help="Closed loop: seconds between an answer and the next request; 0 by default."
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(help="Open loop: requests per second; steps and ramps as 2@30s,2-10@60s,10@30s."),
    ] = None,
    arrivals: Annotated[
        str | None,
        typer.Option(help="Open loop: poisson (default), constant or gamma:CV (gamma:2 is bursty)."),
    ] = None,
    trace: Annotated[
        str | None, typer.Option(help="Replay a trace: azure:FILE.csv, mooncake:FILE.jsonl?scale=0.1, ...")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Replay so many times as fast; 1 by default.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds of measured load (30 by default; a trace's own).")
    ] = None,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Measured requests, instead of a duration.")
    ] = None,
    output: Annotated[str, typer.Option(help=f"Answer length: {OUTPUT_HELP}.")] = "free",
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer, tokens; 128 by default.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, max=256, help="Load processes on this machine; 1 by default.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=256, help="Wait for so many workers, started by hand with `kilotoken load-worker`."
        ),
    ] = None,
    bind: Annotated[
        str | None,
        typer.Option(help="HOST:PORT where those workers connect to; 127.0.0.1:5557 by default."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Prompts, their order, arrivals.")] = 1,
    warm_up: Annotated[float, typer.Option(min=0, help="Seconds before anything is measured.")] = 3.0,
    ramp: Annotated[
        float | None,
        typer.Option(
            min=0, help="Open loop: seconds of load before the window opens; 2 for a plain rate, else 0."
        ),
    ] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="0 (greedy) by default.")] = None,
    top_p: Annotated[float | None, typer.Option(min=0, max=1, help="Nucleus sampling.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Sample from the k likeliest tokens.")] = None,
    sampling_seed: Annotated[int | None, typer.Option(help="Seed of the server's sampling.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds after which a request failed.")] = 300.0,
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the API key.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="chat or completions (a trace's default: exact token ids).")
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", help="Directory for what was measured; loads/<time>-... by default."),
    ] = None,
    web: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Show Locust's page on this loopback port.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Load any OpenAI-compatible server and measure it: latency, tokens/s, and whether to trust them."""
    from workbench.load_command import crew_of, run_load
    from workbench.load_table import load_table

    request = LoadRequest(
        workload=workload,
        streams=streams,
        think_time_s=think_time,
        rate=rate,
        arrivals=arrivals,
        trace=trace,
        speed=speed,
        duration_s=duration,
        requests=requests,
        warm_up_s=warm_up,
        ramp_s=ramp,
        output=output,
        max_tokens=max_tokens,
        endpoint=endpoint,
        processes=workers or processes or 1,
        seed=seed,
        timeout_s=timeout,
        sampling=Sampling(temperature=temperature, top_p=top_p, top_k=top_k, seed=sampling_seed),
    )
    crew = crew_of(processes=processes, workers=workers, bind=bind, web_port=web)
    document = run_load(
        request, url=url, model=model, api_key_env=api_key_env, out_dir=out_dir, crew=crew, console=err
    )
    if as_json:
        print_json(document)
    else:
        out.print(load_table(document, width=out.width))


def load_worker(
    master: Annotated[str, typer.Argument(help="HOST:PORT that `kilotoken load --bind` names.")],
    processes: Annotated[int, typer.Option(min=1, max=256, help="Worker processes to start here.")] = 1,
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the API key.")
    ] = None,
) -> None:
    """Lend this machine to a `kilotoken load --workers N` that runs elsewhere; ends with that load."""
    from workbench.load_command import run_workers

    run_workers(master, processes=processes, api_key_env=api_key_env, console=err)

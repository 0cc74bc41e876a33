"""The `kilotoken plan` command: argv in, `workbench.planning` does the work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from accounting.errors import ConfigError
from workbench.terminal import JsonFlag, err, out, print_json

#: As `compare --fail-if`: what was asked is answered, and the answer is no.
INFEASIBLE = 3


def plan(
    target: Annotated[str, typer.Option(help="The target, a name or a directory.", show_default=False)],
    traces: Annotated[
        Path, typer.Option(help="Its answers as `kilotoken collect` keeps them.", show_default=False)
    ],
    ttft_s: Annotated[float | None, typer.Option(help="SLO: time to first token, seconds.")] = None,
    tpot_s: Annotated[float | None, typer.Option(help="SLO: time per output token, seconds.")] = None,
    e2e_s: Annotated[float | None, typer.Option(help="SLO: send to last token, seconds.")] = None,
    attainment_floor: Annotated[
        float, typer.Option(min=0.01, max=1, help="Share of requests that must meet every limit.")
    ] = 0.95,
    by: Annotated[
        Literal["streams", "rate"], typer.Option(help="What load is: streams, or requests per second.")
    ] = "streams",
    profile: Annotated[
        Path | None, typer.Option(help="Directory of a profile; the latest of this target here without.")
    ] = None,
    drafter: Annotated[
        list[str] | None, typer.Option(help="Only this drafter of the profile; again for more.")
    ] = None,
    mix: Annotated[
        str | None, typer.Option(help="Shares of requests by class: chat=0.6,copy=0.4; as logged without.")
    ] = None,
    price: Annotated[str | None, typer.Option(help="A name in the catalogue (`kilotoken prices`).")] = None,
    usd_per_hour: Annotated[float | None, typer.Option(help="Or an amount.")] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", help="Keep the plan here, with a configuration for `kilotoken serve`."),
    ] = None,
    prove: Annotated[
        bool, typer.Option("--prove", help="Compare it with vLLM's defaults, each at its own capacity.")
    ] = False,
    workload: Annotated[
        list[str] | None, typer.Option(help="Prompts of the proof; again for more. The classes without.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Time for the proof: 90m, 2h.")] = None,
    seed: Annotated[int, typer.Option(help="Of the simulated requests.")] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Which speculation and batching cost least within an SLO here, from step costs and logged traffic. Exit 3 if none does."""
    from datetime import UTC, datetime

    from accounting.slo import Slo
    from workbench import run_command
    from workbench.drafting.time_budget import parse_budget
    from workbench.given_price import given_price
    from workbench.planning.plan_command import make_plan
    from workbench.planning.plan_files import SERVER, check_directory, with_proof, write_plan, write_proof
    from workbench.planning.plan_request import PlanRequest
    from workbench.planning.plan_table import plan_table
    from workbench.status_line import status_line

    limits = {"--ttft-s": ttft_s, "--tpot-s": tpot_s, "--e2e-s": e2e_s}
    if all(limit is None for limit in limits.values()):
        raise ConfigError("an SLO needs at least one limit.", hint="For example --tpot-s 0.05 --ttft-s 1.")
    wrong = next((name for name, limit in limits.items() if limit is not None and not limit > 0), None)
    if wrong:
        raise ConfigError(f"{wrong} {limits[wrong]:g} is no time: seconds above 0.")
    request = PlanRequest(
        target=target,
        traces=traces,
        slo=Slo(ttft_s, tpot_s, e2e_s, attainment_floor),
        by=by,
        profile=profile,
        price=given_price(price, usd_per_hour, datetime.now(UTC).date()),
        mix=mix,
        drafters=tuple(drafter or ()),
        seed=seed,
    )
    if prove and out_dir is None:
        raise ConfigError("--prove needs a directory for its run.", hint="Give --out DIR.")
    if out_dir is not None:
        check_directory(out_dir)
    hours = None if budget is None else parse_budget(budget) / 3600
    with status_line(err) as say:
        document = make_plan(request, say=say)
    if out_dir is not None:
        write_plan(document, out_dir)
    if prove and out_dir is not None and document["feasible"]:
        file = write_proof(document, out_dir, workloads=workload or (), budget_h=hours, price=request.price)
        run_command.start_or_go_on(file, out_dir / "proof", argv=sys.argv, console=err)
        document = with_proof(document, out_dir)
    if as_json:
        print_json(document)
    else:
        out.print(plan_table(document))
        if out_dir is not None and document["feasible"]:
            out.print(f"Kept in {out_dir}. Next: kilotoken serve {out_dir / SERVER}", markup=False)
    if not document["feasible"]:
        raise typer.Exit(INFEASIBLE)

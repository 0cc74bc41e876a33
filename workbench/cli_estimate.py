"""The `kilotoken estimate` command: argv in, `estimate_request` and `estimate_document` do the work."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from accounting.errors import ConfigError
from accounting.slo import Slo
from workbench.terminal import JsonFlag, out, print_json


def estimate(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="Directory with config.json, packaged name or hub id."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Device by name: `kilotoken devices` lists them.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Sequences in flight.")] = 1,
    input_tokens: Annotated[int, typer.Option("--input", help="Tokens of a prompt.")] = 512,
    output_tokens: Annotated[int, typer.Option("--output", help="Tokens of an answer.")] = 128,
    dtype: Annotated[
        str, typer.Option(help="Weights: bfloat16, fp8, int8, int4, float32, sparse-50, sparse-2:4.")
    ] = ("bfloat16"),
    kv_dtype: Annotated[str, typer.Option(help="Keys and values: auto, bfloat16, fp8, float32.")] = "auto",
    tp: Annotated[int, typer.Option(help="Tensor-parallel devices.")] = 1,
    pp: Annotated[int, typer.Option(help="Pipeline stages.")] = 1,
    dp: Annotated[int, typer.Option(help="Replicas.")] = 1,
    speculation: Annotated[
        str | None, typer.Option(help="k=4,acceptance=0.6,0.4,0.25,0.15[,draft=MODEL]: s_1 to s_k.")
    ] = None,
    price: Annotated[
        str | None, typer.Option(help="Price of a device hour by name: `kilotoken prices`.")
    ] = None,
    usd_per_hour: Annotated[
        float | None, typer.Option(help="Or the price of one device hour itself.")
    ] = None,
    duty_cycle: Annotated[float, typer.Option(help="Share of held hours that are busy.")] = 1.0,
    ttft_s: Annotated[float, typer.Option(help="SLO: time to first token.")] = 1.0,
    tpot_s: Annotated[float, typer.Option(help="SLO: time per output token.")] = 0.033,
    bandwidth_share: Annotated[
        float, typer.Option(help="Share of the stated bandwidth that is reached.")
    ] = 1.0,
    compute_share: Annotated[
        float, typer.Option(help="Share of the stated operations that are reached.")
    ] = 1.0,
    explain: Annotated[bool, typer.Option("--explain", help="Show what the estimate rests on.")] = False,
    runs: Annotated[Path, typer.Option(help="Runs in which to look for measurements of the same.")] = Path(
        "runs"
    ),
    worked_examples: Annotated[
        bool,
        typer.Option(
            "--worked-examples", help="Figures that people quote, recomputed by the same functions."
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """What a model would give and cost on a device, before anything is rented: a roofline, with its reasons."""
    from workbench.estimate_document import estimate_document
    from workbench.estimate_request import EstimateOptions, asked_of
    from workbench.estimate_table import estimate_table

    if worked_examples:
        _worked(as_json=as_json)
        return
    if model is None or device is None:
        lacking = "MODEL" if model is None else "--device"
        raise ConfigError(
            f"{lacking} is missing.",
            hint="For example `kilotoken estimate smollm2-135m-instruct --device H100-SXM`; `kilotoken devices` lists devices.",
        )
    from workbench.estimate_beside import measured_beside
    from workbench.estimate_model import read_model
    from workbench.given_price import given_price

    options = EstimateOptions(
        dtype=dtype, kv_dtype=kv_dtype, batch=batch, input_tokens=input_tokens, output_tokens=output_tokens, tp=tp,
        pp=pp, dp=dp, speculation=speculation, duty_cycle=duty_cycle, bandwidth_share=bandwidth_share,
        compute_share=compute_share,
    )  # fmt: skip
    asked = asked_of(
        model,
        _device(device),
        options,
        price=given_price(price, usd_per_hour, datetime.now(UTC).date()),
        slo=Slo(ttft_s=ttft_s, tpot_s=tpot_s),
        read_model=read_model,
    )
    document = estimate_document(asked) | {"measured": measured_beside(runs, model, asked)}
    if as_json:
        print_json(document)
    else:
        out.print(estimate_table(document, explain=explain))


def _device(name: str) -> Any:
    from workbench.device_catalogue import device_named
    from workbench.measured_device import THIS_MACHINE, measured_device

    return measured_device() if name == THIS_MACHINE else device_named(name)


def _worked(*, as_json: bool) -> None:
    from accounting.estimate.examples_of_serving import SERVING
    from accounting.estimate.examples_of_training import TRAINING
    from workbench.estimate_table import worked_table

    examples = (*SERVING, *TRAINING)
    if as_json:
        print_json(
            [
                {key: value for key, value in asdict(one).items() if key not in ("compute", "scaling")}
                | {"ours": one.ours, "off": one.off}
                for one in examples
            ]
        )
    else:
        out.print(worked_table(examples))

"""The `kilotoken estimate` command: argv in, `estimate_request` and `estimate_document` do the work."""

from __future__ import annotations

from dataclasses import asdict, replace
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
        str,
        typer.Option(
            help="Weights: auto (as stored), bfloat16, fp8, int8, int4, float32, sparse-50, sparse-2:4."
        ),
    ] = "auto",
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
    training_tokens: Annotated[
        float | None, typer.Option(help="Also what training on so many tokens takes: days and dollars.")
    ] = None,
    training_devices: Annotated[
        int | None, typer.Option(help="Devices for training; as many as serve by default.")
    ] = None,
    training_flops_share: Annotated[
        float, typer.Option(help="Share of the bfloat16 peak that training reaches (MFU).")
    ] = 0.4,
    route_to: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A larger model on the same devices that answers the rest."),
    ] = None,
    share: Annotated[
        float | None, typer.Option(help="Share of the tokens that MODEL answers, with --route-to.")
    ] = None,
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
    from workbench.estimate_request import EstimateOptions
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
    if (route_to is None) is not (share is None):
        raise ConfigError(
            "--route-to and --share belong together.", hint="For example --route-to MODEL --share 0.7."
        )
    if training_devices is not None and training_tokens is None:
        raise ConfigError(
            "--training-devices needs --training-tokens.", hint="For example --training-tokens 15e12."
        )
    from workbench.estimate_beside import measured_beside

    options = EstimateOptions(
        dtype=dtype, kv_dtype=kv_dtype, batch=batch, input_tokens=input_tokens, output_tokens=output_tokens, tp=tp,
        pp=pp, dp=dp, speculation=speculation, duty_cycle=duty_cycle, bandwidth_share=bandwidth_share,
        compute_share=compute_share, training_tokens=training_tokens, training_devices=training_devices,
        training_flops_share=training_flops_share,
    )  # fmt: skip
    price_words, slo = (price, usd_per_hour), Slo(ttft_s=ttft_s, tpot_s=tpot_s)
    asked, document = _estimated(model, device, options, price_words, slo)
    document["measured"] = measured_beside(runs, model, asked)
    document["routing"] = None
    if route_to is not None and share is not None:
        from workbench.estimate_routing import routing

        alone = replace(options, speculation=None, training_tokens=None)
        document["routing"] = routing(
            document, _estimated(route_to, device, alone, price_words, slo)[1], share
        )
    if as_json:
        print_json(document)
    else:
        out.print(estimate_table(document, explain=explain))


def _estimated(
    model: str, device: str, options: Any, price_words: tuple[str | None, float | None], slo: Slo
) -> tuple[Any, dict[str, Any]]:
    """What is asked of one model, and its estimate."""
    from workbench.estimate_document import estimate_document
    from workbench.estimate_model import read_model
    from workbench.estimate_price import device_price
    from workbench.estimate_request import asked_of

    asked = asked_of(model, _device(device), options, slo=slo, read_model=read_model)
    found, notes = device_price(*price_words, asked.placed, datetime.now(UTC).date())
    asked = replace(asked, price=found, notes=(*asked.notes, *notes))
    return asked, estimate_document(asked)


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
                {
                    key: value
                    for key, value in asdict(one).items()
                    if key not in ("compute", "scaling", "doubled")
                }
                | {"ours": one.ours, "off": one.off}
                for one in examples
            ]
        )
    else:
        out.print(worked_table(examples))

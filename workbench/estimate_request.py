"""What `kilotoken estimate` is asked, from the words of the command line: a placement, a load, a speculation, a price."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from accounting.errors import ConfigError
from accounting.estimate.device import Device
from accounting.estimate.placement import Placement, own_cache_element_bytes
from accounting.estimate.serving_estimate import Drafting, Load
from accounting.estimate.weight_bytes import Format
from accounting.slo import Slo
from workbench.estimate_document import Asked
from workbench.estimate_model import FoundModel
from workbench.estimate_training import Training

#: What users write, and what it is.
FORMATS = {
    "float32": Format.FLOAT32,
    "bfloat16": Format.BFLOAT16,
    "bf16": Format.BFLOAT16,
    "float16": Format.BFLOAT16,
    "fp8": Format.FP8,
    "int8": Format.INT8,
    "int4": Format.INT4,
    "sparse-50": Format.UNSTRUCTURED_50,
    "sparse-2:4": Format.SPARSE_2_4,
}
CACHE_ELEMENT_BYTES = {"float32": 4.0, "bfloat16": 2.0, "bf16": 2.0, "float16": 2.0, "fp8": 1.0}
T = TypeVar("T")
ReadModel = Callable[[str], FoundModel]
#: What the checkpoint itself says.
AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateOptions:
    """The command's options as they were given."""

    dtype: str = AUTO
    kv_dtype: str = AUTO
    batch: int = 1
    input_tokens: int = 512
    output_tokens: int = 128
    tp: int = 1
    pp: int = 1
    dp: int = 1
    speculation: str | None = None
    duty_cycle: float = 1.0
    bandwidth_share: float = 1.0
    compute_share: float = 1.0
    training_tokens: float | None = None
    training_devices: int | None = None
    training_flops_share: float = 0.4


def asked_of(
    model: str, device: Device, options: EstimateOptions, *, slo: Slo, read_model: ReadModel
) -> Asked:
    """Put the request together, still without a price; `read_model` finds a model by what the user calls it.

    Raises:
        ConfigError: for options that say nothing that can be.
        ModelError: if a model cannot be read.
    """
    stated = None if options.dtype == AUTO else _one_of("--dtype", options.dtype, FORMATS)
    if options.kv_dtype != AUTO:
        _one_of("--kv-dtype", options.kv_dtype, CACHE_ELEMENT_BYTES)
    target = read_model(model)
    notes = target.notes
    if stated is None and target.stored is not None:
        notes += (
            f"weights are taken in {target.stored}, as the checkpoint stores them: --dtype says otherwise",
        )

    if stated is Format.BFLOAT16 and device.served_in is not stated:
        notes += (
            f"{device.name} was measured in {device.served_in}, in which it serves: 16 bits read half as many bytes "
            "and compute prompts and batches several times slower",
        )

    def place(of: FoundModel) -> Placement:
        form = stated or of.stored or device.served_in
        said = CACHE_ELEMENT_BYTES.get(options.kv_dtype)  # None for auto, as others were refused
        return Placement(
            shape=of.shape,
            device=device,
            weights=form,
            cache_element_bytes=own_cache_element_bytes(form) if said is None else said,
            tensor=options.tp,
            pipeline=options.pp,
            data=options.dp,
            bandwidth_share=options.bandwidth_share,
            compute_share=options.compute_share,
        )

    try:
        _check_amounts(options, slo)
        load = Load(
            batch=options.batch, input_tokens=options.input_tokens, output_tokens=options.output_tokens
        )
        placed = place(target)
        drafting = None
        if options.speculation is not None:
            drafting, more = _drafting(options.speculation, place, read_model)
            notes += more
    except ValueError as error:
        raise ConfigError(f"{error}.") from error
    return Asked(
        placed=placed,
        load=load,
        drafting=drafting,
        duty_cycle=options.duty_cycle,
        slo=slo,
        stored=target.stored,
        training=_training(options, placed),
        notes=notes,
    )


def _check_amounts(options: EstimateOptions, slo: Slo) -> None:
    if not 0 < options.duty_cycle <= 1:
        raise ValueError(f"--duty-cycle is a share above 0 and at most 1, not {options.duty_cycle:g}")
    for option, limit in (("--ttft-s", slo.ttft_s), ("--tpot-s", slo.tpot_s)):
        if limit is not None and not (math.isfinite(limit) and limit > 0):
            raise ValueError(f"{option} is a time above 0 s, not {limit:g}")


def _training(options: EstimateOptions, placed: Placement) -> Training | None:
    if options.training_tokens is None:
        return None
    devices = placed.devices if options.training_devices is None else options.training_devices
    if not (math.isfinite(options.training_tokens) and options.training_tokens > 0 and devices >= 1):
        raise ConfigError(
            f"{devices} devices train on {options.training_tokens:g} tokens nothing: both must be positive.",
            hint="For example --training-tokens 15e12 --training-devices 1024.",
        )
    if not 0 < options.training_flops_share <= 1:
        raise ConfigError(
            f"--training-flops-share is a share above 0 and at most 1, not {options.training_flops_share:g}.",
            hint="0.3 to 0.5 of the bfloat16 peak are what people report.",
        )
    return Training(tokens=options.training_tokens, devices=devices, flops_share=options.training_flops_share)


def _drafting(
    text: str, place: Callable[[FoundModel], Placement], read_model: ReadModel
) -> tuple[Drafting, tuple[str, ...]]:
    """`k=4,acceptance=0.6,0.4,0.25,0.15[,draft=MODEL]` as a `Drafting`."""
    said = _parts(text)
    hint = "For example --speculation k=4,acceptance=0.6,0.4,0.25,0.15 or ...,draft=smollm2-135m-instruct."
    unknown = sorted(said.keys() - {"k", "acceptance", "draft"})
    if unknown or "acceptance" not in said:
        wrong = f"does not know `{unknown[0]}`" if unknown else "needs `acceptance`"
        raise ConfigError(
            f"--speculation {text}: it {wrong}; k, acceptance and draft are what it takes.", hint=hint
        )
    try:
        accepted = tuple(float(part) for part in said["acceptance"])
        k = int(said["k"][0]) if "k" in said else len(accepted)
    except ValueError as error:
        raise ConfigError(f"--speculation {text}: {error}.", hint=hint) from error
    if len(accepted) != k:
        raise ConfigError(
            f"--speculation {text}: k is {k} and there are {len(accepted)} acceptances; each of the {k} drafted tokens "
            "needs the chance that it and all before it are accepted.",
            hint=hint,
        )
    if "draft" not in said:
        return Drafting(accepted=accepted), (
            "drafting is taken to cost nothing (n-gram, suffix): give draft=MODEL else",
        )
    draft = read_model(said["draft"][0])
    return Drafting(accepted=accepted, draft=place(draft)), draft.notes


def _parts(text: str) -> dict[str, list[str]]:
    """`a=1,b=2,3` -> {"a": ["1"], "b": ["2", "3"]}."""
    found: dict[str, list[str]] = {}
    key = ""
    for word in text.split(","):
        name, equals, value = word.partition("=")
        if equals:
            key = name.strip()
            found[key] = [value.strip()]
        elif key:
            found[key].append(word.strip())
        else:
            raise ConfigError(
                f"--speculation {text}: `{word}` belongs to no key.",
                hint="Write k=4,acceptance=0.6,0.4,0.25,0.15.",
            )
    return found


def _one_of(option: str, value: str, allowed: dict[str, T]) -> T:
    if value not in allowed:
        raise ConfigError(f"{option} {value} is not known.", hint=f"One of: {AUTO}, {', '.join(allowed)}.")
    return allowed[value]

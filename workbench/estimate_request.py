"""What `kilotoken estimate` is asked, from the words of the command line: a placement, a load, a speculation, a price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from accounting.errors import ConfigError
from accounting.estimate.device import Device
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Drafting, Load
from accounting.estimate.shape import ModelShape
from accounting.estimate.weight_bytes import Format
from accounting.prices import Price
from accounting.slo import Slo
from workbench.estimate_document import Asked

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
ReadModel = Callable[[str], tuple[ModelShape, tuple[str, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateOptions:
    """The command's options as they were given."""

    dtype: str = "bfloat16"
    kv_dtype: str = "auto"
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


def asked_of(
    model: str,
    device: Device,
    options: EstimateOptions,
    *,
    price: Price | None,
    slo: Slo,
    read_model: ReadModel,
) -> Asked:
    """Put the request together; `read_model` gives a model's shape and what a reader should know of the reading.

    Raises:
        ConfigError: for options that say nothing that can be.
        ModelError: if a model cannot be read.
    """
    form = _one_of("--dtype", options.dtype, FORMATS)
    cache = "float32" if form is Format.FLOAT32 else "bfloat16"
    element = _one_of(
        "--kv-dtype", cache if options.kv_dtype == "auto" else options.kv_dtype, CACHE_ELEMENT_BYTES
    )
    shape, notes = read_model(model)

    def place(of: ModelShape) -> Placement:
        return Placement(
            shape=of,
            device=device,
            weights=form,
            cache_element_bytes=element,
            tensor=options.tp,
            pipeline=options.pp,
            data=options.dp,
            bandwidth_share=options.bandwidth_share,
            compute_share=options.compute_share,
        )

    try:
        if not 0 < options.duty_cycle <= 1:
            raise ValueError(f"--duty-cycle is a share above 0 and at most 1, not {options.duty_cycle:g}")
        load = Load(
            batch=options.batch, input_tokens=options.input_tokens, output_tokens=options.output_tokens
        )
        placed = place(shape)
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
        price=price,
        duty_cycle=options.duty_cycle,
        slo=slo,
        notes=notes,
    )


def _drafting(
    text: str, place: Callable[[ModelShape], Placement], read_model: ReadModel
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
    draft, notes = read_model(said["draft"][0])
    return Drafting(accepted=accepted, draft=place(draft)), notes


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
        raise ConfigError(f"{option} {value} is not known.", hint=f"One of: {', '.join(allowed)}.")
    return allowed[value]

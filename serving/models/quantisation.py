"""Which quantised forms of a model can be made here, and which of them the engine runs on which device.

Each was started on vLLM 0.32's CPU build; the log says which kernel it chose.
"""

from __future__ import annotations

from dataclasses import dataclass

from accounting.errors import ModelError


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way to quantise. `bits` is that of a weight of a linear layer; embeddings and head stay as they are."""

    name: str
    preset: str  # compressed-tensors' own name
    title: str
    bits: int
    cpu_refusal: str = ""  # why the engine's CPU build does not run it; empty if it does


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme("int8", "W8A8", "8-bit integer weights per channel, 8-bit activations per token", 8),
        Scheme("int4", "W4A16", "4-bit integer weights in groups, activations as they are", 4),
        Scheme("fp8", "FP8_DYNAMIC", "8-bit float weights per channel, 8-bit float activations per token", 8),
        Scheme(
            "int8-weights",
            "W8A16",
            "8-bit integer weights in groups, activations as they are",
            8,
            cpu_refusal="its kernel for quantised weights alone (CPUWNA16) knows 4 bits, not 8",
        ),
    )
}


def require_scheme(name: str, *, device: str) -> Scheme:
    """The scheme of that name, if the engine runs it on `device` ("cpu" or "cuda").

    Raises:
        ModelError: there is no such scheme, or the engine would refuse its weights.
    """
    allowed = ", ".join(each.name for each in SCHEMES.values() if device != "cpu" or not each.cpu_refusal)
    if name not in SCHEMES:
        raise ModelError(
            f"There is no scheme {name!r}. Allowed are {allowed}.", hint="Take int8 if in doubt."
        )
    scheme = SCHEMES[name]
    if device == "cpu" and scheme.cpu_refusal:
        raise ModelError(
            f"vLLM 0.32's CPU build does not run {name}: {scheme.cpu_refusal}.",
            hint=f"Take one of {allowed}.",
        )
    return scheme

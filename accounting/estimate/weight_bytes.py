"""Bytes of weights in a number format: dense, or with half of them zero, whose places have to be kept as well."""

from __future__ import annotations

from enum import StrEnum

from accounting.estimate.parameters import Parameters


class Format(StrEnum):
    """How weights are stored. The sparse ones keep 16-bit values of half the weights."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"
    UNSTRUCTURED_50 = "50% unstructured"
    SPARSE_2_4 = "2:4 sparse"


#: Bits per weight. Sparse formats: half of 16 bits, and the index: one bit per place in a bitmap, or, of two kept
#: values in each four, two bits each (NVIDIA's sparse tensor cores).
BITS: dict[Format, float] = {
    Format.FLOAT32: 32,
    Format.BFLOAT16: 16,
    Format.FP8: 8,
    Format.INT8: 8,
    Format.INT4: 4,
    Format.UNSTRUCTURED_50: 16 / 2 + 1,
    Format.SPARSE_2_4: 16 / 2 + 2 * 2 / 4,
}

#: Quantised weights carry a 16-bit scale per group of so many; 0 where one scale per channel is next to nothing.
_GROUP = {Format.INT4: 128}

#: What these formats leave in 16 bits, as vLLM's schemes do.
_KEPT = ("embedding", "head", "norms", "router")
_QUANTISED = (Format.FP8, Format.INT8, Format.INT4, Format.UNSTRUCTURED_50, Format.SPARSE_2_4)


def bits_per_weight(form: Format) -> float:
    """Bits per weight of a projection, the scales of its groups and the index of its zeros included."""
    group = _GROUP.get(form)
    return BITS[form] + (16 / group if group else 0.0)


def weight_bytes(counted: Parameters, form: Format) -> float:
    """Bytes of all weights. Embedding, head, norms and router stay in 16 bits where projections have fewer."""
    if form not in _QUANTISED:
        return counted.total * BITS[form] / 8
    kept = int(sum(getattr(counted, part) for part in _KEPT))
    return (kept * 16 + (counted.total - kept) * bits_per_weight(form)) / 8

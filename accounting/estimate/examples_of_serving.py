"""Published figures of serving: GPT-3-175B on one server, caches of long contexts, what attention and experts take."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from accounting.estimate.cache_bytes import sequence_bytes, state_elements
from accounting.estimate.device import Device
from accounting.estimate.known_shapes import (
    GPT_3_175B,
    JAMBA,
    LLAMA_2_7B,
    LLAMA_3_8B,
    MISTRAL_7B,
    MISTRAL_7B_WINDOW,
    MIXTRAL_8X7B,
)
from accounting.estimate.operations import crossings
from accounting.estimate.parallelism import amdahl_speedup, bubble_share
from accounting.estimate.parameters import active_parameters, expected_experts, parameters
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import (
    Load,
    estimate,
    output_tokens_per_s,
    seconds_per_token,
)
from accounting.estimate.shape import Experts, FeedForward, GroupedAttention, LayerKind, ModelShape
from accounting.estimate.weight_bytes import Format
from accounting.estimate.worked_example import Inputs, WorkedExample
from accounting.holding import rented, usd_per_1k

#: Prices by the month are meant for one of 30 days.
HOURS_PER_MONTH = 720.0
MIB = 2.0**20
GIB = 2.0**30
LONG_CONTEXT = 262_144
READER_TPOT_MS = 33.0

A100_80GB = Device(
    name="A100-SXM-80GB",
    memory_bytes=80e9,
    bandwidth_bytes_per_s=2.039e12,
    flops_per_s={Format.BFLOAT16: 312e12},
    link_bytes_per_s=600e9,
    source="NVIDIA A100 data sheet",
    as_of=date(2022, 6, 1),
)

_MIXTRAL = {"experts": 8.0, "chosen": 2.0}
_BATCH_OF_128 = {"usd_per_month": 10_000.0, "batch": 128.0, "output_tokens": 200.0, "batch_s": 20.0}


def _at_a_latency(given: Inputs) -> float:
    tokens_per_s = output_tokens_per_s(given["batch"], given["output_tokens"], given["batch_s"])
    return usd_per_1k(rented(given["usd_per_month"] / HOURS_PER_MONTH), tokens_per_s)


def _by_roofline(given: Inputs) -> float:
    placed = Placement(shape=GPT_3_175B, device=A100_80GB, tensor=int(given["devices"]))
    lengths = int(given["tokens"])
    found = estimate(placed, Load(batch=int(given["batch"]), input_tokens=lengths, output_tokens=lengths))
    return usd_per_1k(rented(given["usd_per_month"] / HOURS_PER_MONTH), found.tokens_per_s)


def _cache(shape: ModelShape) -> WorkedExample:
    published = {
        "Llama-2-7B": 128.0,
        "Mistral-7B": 32.0,
        "Mistral-7B with its window": 0.5,
        "Jamba-v0.1": 4.0,
    }
    constant = state_elements(shape) * 2 / MIB
    return WorkedExample(
        figure=f"{shape.name}: KV cache of {LONG_CONTEXT:,} tokens in bfloat16",
        unit="GiB",
        inputs={"context": float(LONG_CONTEXT), "element_bytes": 2.0},
        compute=lambda given: sequence_bytes(
            shape, given["context"], element_bytes=given["element_bytes"], state_bytes=0.0
        ) / GIB,
        published=published[shape.name],
        note=f"and {constant:.1f} MiB of state, whatever the length" if constant else "",
        scaling={"element_bytes": 1.0} if shape is MISTRAL_7B_WINDOW else {"context": 1.0, "element_bytes": 1.0},
    )  # fmt: skip


def _grown(figure: str, parts: tuple[str, ...], published: float) -> WorkedExample:
    """Llama-2-7B -> Llama-3-8B."""

    def compute(given: Inputs) -> float:
        grown = parameters(LLAMA_3_8B).minus(parameters(LLAMA_2_7B))
        counted = parts or tuple(grown)
        return sum(grown[part] for part in counted) * given["weight_bytes"] / MIB

    return WorkedExample(
        figure=f"Llama-2-7B to Llama-3-8B: {figure}", unit="MiB", inputs={"weight_bytes": 2.0}, compute=compute,
        published=published, scaling={"weight_bytes": 1.0},
    )  # fmt: skip


def _plain_layer(heads: int, head_dim: int) -> ModelShape:
    """The textbook's layer: as many key-value heads as heads, an ungated block of four times the width."""
    width = heads * head_dim
    attention = GroupedAttention(heads=heads, kv_heads=heads, head_dim=head_dim)
    kind = LayerKind(count=1, mixer=attention, feed_forward=FeedForward(width=4 * width, gated=False))
    return ModelShape(name="a plain layer", hidden=width, vocabulary=1, layers=(kind,))


def _crossing(figure: str, which: str, published: float) -> WorkedExample:
    def compute(given: Inputs) -> float:
        found = crossings(_plain_layer(int(given["heads"]), int(given["head_dim"])), causal=False)
        assert found is not None
        return float(getattr(found, which))

    return WorkedExample(
        figure=f"32 heads of 128, no mask: {figure}", unit="tokens", inputs={"heads": 32.0, "head_dim": 128.0},
        compute=compute, published=published, scaling={"heads": 1.0, "head_dim": 1.0},
        note="a causal mask halves what is seen and doubles the length",
    )  # fmt: skip


def _experts(tokens: float, published: float) -> WorkedExample:
    return WorkedExample(
        figure=f"Mixtral 8x7B: experts of 8 touched by {tokens:g} token{'s' if tokens > 1 else ''}",
        unit="experts",
        inputs={"tokens": tokens, "number": 8.0, "chosen": 2.0},
        compute=lambda given: expected_experts(int(given["number"]), int(given["chosen"]), given["tokens"]),
        published=published,
        doubled={"tokens": 8 * (1 - 0.75 ** (2 * tokens)), "number": 16 * (1 - 0.875**tokens)},
    )


def _mixtral(given: Inputs) -> ModelShape:
    """With so many experts a layer, of which so many are chosen."""
    (kind,) = MIXTRAL_8X7B.layers
    assert isinstance(kind.feed_forward, Experts)
    mixture = replace(kind.feed_forward, number=int(given["experts"]), chosen=int(given["chosen"]))
    return replace(MIXTRAL_8X7B, layers=(replace(kind, feed_forward=mixture),))


def _bubble(microbatches: float, published: float) -> WorkedExample:
    return WorkedExample(
        figure=f"tensor parallel 8 x pipeline 15: bubble of {microbatches:g} microbatches",
        unit="share",
        inputs={"stages": 15.0, "microbatches": microbatches},
        compute=lambda given: bubble_share(int(given["stages"]), int(given["microbatches"])),
        published=published,
        doubled={"microbatches": 14 / (2 * microbatches + 14), "stages": 29 / (microbatches + 29)},
    )


SERVING: tuple[WorkedExample, ...] = (
    WorkedExample(
        figure="GPT-3-175B, 8 x A100-80GB at 10,000 $ a month, batch 128, 200 + 200 tokens, 20 s a batch",
        unit="$ per 1k output tokens",
        inputs=_BATCH_OF_128,
        compute=_at_a_latency,
        published=0.003,
        note="published rounded to 0.3 cents; a month is 30 days",
        scaling={"usd_per_month": 1.0, "batch": -1.0, "output_tokens": -1.0, "batch_s": 1.0},
    ),
    WorkedExample(
        figure="the same at batch 1, if a batch still took 20 s",
        unit="$ per 1k output tokens",
        inputs={**_BATCH_OF_128, "batch": 1.0},
        compute=_at_a_latency,
        published=0.386,
        scaling={"usd_per_month": 1.0, "batch": -1.0, "batch_s": 1.0},
    ),
    WorkedExample(
        figure="the same at batch 1, by roofline",
        unit="$ per 1k output tokens",
        inputs={"usd_per_month": 10_000.0, "devices": 8.0, "batch": 1.0, "tokens": 200.0},
        compute=_by_roofline,
        published=0.083,
        note="350 GB of weights a token over 8 x 2.04 TB/s: a small batch is read faster than in 20 s",
        scaling={"usd_per_month": 1.0},
    ),
    WorkedExample(
        figure="the batch of 128: time per output token, against 33 ms that a reader needs",
        unit="ms",
        inputs=_BATCH_OF_128,
        compute=lambda given: seconds_per_token(given["batch_s"], given["output_tokens"]) * 1000.0,
        published=100.0,
        note=f"a reader's {READER_TPOT_MS:g} ms are not kept: cheap, and too slow to read along",
        scaling={"batch_s": 1.0, "output_tokens": -1.0},
    ),
    *(_cache(shape) for shape in (LLAMA_2_7B, MISTRAL_7B, MISTRAL_7B_WINDOW, JAMBA)),
    _grown("embeddings and head", ("embedding", "head"), 1504.0),
    _grown("key and value projections", ("keys_values",), -1536.0),
    _grown("feed-forward blocks", ("feed_forward",), 2496.0),
    _grown("in all", (), 2464.0),
    _crossing("attention's s^2 term equals its projections (2hd)", "projections", 8192.0),
    _crossing("attention's s^2 term exceeds all the rest (6hd)", "all_else", 24_576.0),
    WorkedExample(
        figure="Mixtral 8x7B: parameters",
        unit="billions",
        inputs=_MIXTRAL,
        compute=lambda given: parameters(_mixtral(given)).total / 1e9,
        published=46.7,
        doubled={"experts": 46.7028 + 45.0982, "chosen": 46.7028},
    ),
    WorkedExample(
        figure="Mixtral 8x7B: parameters that a token passes through",
        unit="billions",
        inputs=_MIXTRAL,
        compute=lambda given: active_parameters(_mixtral(given)).total / 1e9,
        published=12.9,
        doubled={"experts": 12.8799 + 0.0010, "chosen": 12.8799 + 11.2743},
    ),
    *(_experts(tokens, published) for tokens, published in ((1.0, 2.0), (4.0, 5.5), (8.0, 7.2))),
    *(_bubble(m, published) for m, published in ((1.0, 14 / 15), (15.0, 14 / 29), (60.0, 14 / 74))),
    WorkedExample(
        figure="speed-up at most, if 20 % stays serial (Amdahl)",
        unit="times",
        inputs={"serial_share": 0.2},
        compute=lambda given: amdahl_speedup(given["serial_share"]),
        published=5.0,
        scaling={"serial_share": -1.0},
    ),
)

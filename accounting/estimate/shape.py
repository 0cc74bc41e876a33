"""The shape of a language model: what its layers are made of, as far as parameters, bytes and operations depend on it.

Every count here is per model, in elements; `parameters.py`, `cache_bytes.py` and `operations.py` turn shapes into numbers.
`serving/models/shape_from_config.py` reads a shape from a config.json.
"""

from __future__ import annotations

from dataclasses import dataclass


def _positive(owner: str, **values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{owner}: {name} must be at least 1, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedAttention:
    """Attention with `heads` queries over `kv_heads` keys and values: MHA if equal, MQA if one, GQA in between.

    `window`: how many tokens back a token sees, None for all. `qk_norm`: elements of the norms on queries and keys.
    `sinks`: one learned number per head. `queries_gated`: a gate as wide as the queries.
    """

    heads: int
    kv_heads: int
    head_dim: int
    window: int | None = None
    qkv_bias: bool = False
    out_bias: bool = False
    qk_norm: int = 0
    sinks: bool = False
    queries_gated: bool = False

    def __post_init__(self) -> None:
        """Refuse what no layer can be."""
        _positive("attention", heads=self.heads, kv_heads=self.kv_heads, head_dim=self.head_dim)
        if self.heads % self.kv_heads:
            raise ValueError(f"attention: {self.heads} heads cannot share {self.kv_heads} key-value heads")
        if self.window is not None:
            _positive("attention", window=self.window)

    @property
    def query_width(self) -> int:
        """Elements of all queries of a token."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Elements of all keys of a token; as many of values."""
        return self.kv_heads * self.head_dim


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek-V2): keys and values come from one compressed vector per token.

    The cache holds `kv_rank` + `rope_dim` elements per token. `query_rank`: None where queries are not compressed.
    """

    heads: int
    query_rank: int | None
    kv_rank: int
    nope_dim: int
    rope_dim: int
    value_dim: int

    def __post_init__(self) -> None:
        """Refuse what no layer can be."""
        _positive(
            "latent attention", heads=self.heads, kv_rank=self.kv_rank, nope_dim=self.nope_dim,
            rope_dim=self.rope_dim, value_dim=self.value_dim,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpace:
    """A Mamba mixer (version 1): constant state per sequence, whatever its length.

    `inner_norms`: elements of Jamba's norms on the time step and both state projections.
    """

    inner: int
    state: int
    kernel: int
    step_rank: int
    projection_bias: bool = False
    kernel_bias: bool = True
    inner_norms: int = 0

    def __post_init__(self) -> None:
        """Refuse what no layer can be."""
        _positive(
            "state space", inner=self.inner, state=self.state, kernel=self.kernel, step_rank=self.step_rank
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedForward:
    """A feed-forward block, `gated` with three matrices (SwiGLU), else with two."""

    width: int
    gated: bool = True
    bias: bool = False

    def __post_init__(self) -> None:
        """Refuse what no layer can be."""
        _positive("feed-forward", width=self.width)

    @property
    def matrices(self) -> int:
        """Projections between model width and block width."""
        return 3 if self.gated else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """A mixture of experts: `chosen` of `number` answer for each token, `shared` (one wider block) for every token.

    `router_bias`: a number per expert beside the router's matrix. `shared_gate`: a learned gate of the shared block.
    """

    number: int
    chosen: int
    expert: FeedForward
    shared: FeedForward | None = None
    router_bias: bool = False
    shared_gate: bool = False

    def __post_init__(self) -> None:
        """Refuse what no layer can be."""
        _positive("experts", number=self.number, chosen=self.chosen)
        if self.chosen > self.number:
            raise ValueError(f"experts: {self.chosen} of {self.number} cannot be chosen")


Mixer = GroupedAttention | LatentAttention | StateSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKind:
    """Layers that are alike: how many, what mixes tokens, what follows, and how many norms of model width each has."""

    count: int
    mixer: Mixer
    feed_forward: FeedForward | Experts | None
    norms: int = 2

    def __post_init__(self) -> None:
        """Refuse what no model has."""
        _positive("layers", count=self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """A decoder-only language model.

    `tied`: the output head is the embedding. `positions`: learned position embeddings. `norm_bias`: norms have a bias
    beside their scale. `final_norms`: norms outside the layers. `head_bias`: a number per token beside the head.
    `embedding_width`: of embedding and head where it is not `hidden`; a matrix leads in, another out (OPT-350m).
    """

    name: str
    hidden: int
    vocabulary: int
    layers: tuple[LayerKind, ...]
    tied: bool = False
    positions: int = 0
    norm_bias: bool = False
    final_norms: int = 1
    head_bias: bool = False
    embedding_width: int | None = None
    max_context: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no model is."""
        _positive(self.name or "model", hidden=self.hidden, vocabulary=self.vocabulary)
        if self.embedding_width is not None:
            _positive(self.name or "model", embedding_width=self.embedding_width)
        if not self.layers:
            raise ValueError(f"{self.name or 'model'}: it has no layers")

    @property
    def depth(self) -> int:
        """Layers in all."""
        return sum(kind.count for kind in self.layers)

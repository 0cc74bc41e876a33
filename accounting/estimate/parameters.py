"""Parameters by part, all of them and those that one token passes through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from accounting.estimate.shape import (
    Experts,
    FeedForward,
    GroupedAttention,
    LatentAttention,
    Mixer,
    ModelShape,
    StateSpace,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Elements by part. `queries` holds the output projection as well; `keys_values` what makes keys and values.

    `feed_forward` holds the experts that are not shared, too, `router` what chooses them.
    """

    embedding: int
    head: int
    queries: int
    keys_values: int
    state_space: int
    feed_forward: int
    router: int
    norms: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, part.name) for part in fields(self))

    @property
    def body(self) -> int:
        """All but embedding and head: what every layer's step reads."""
        return self.total - self.embedding - self.head

    def minus(self, other: Parameters) -> dict[str, int]:
        """Part by part: these less the other's."""
        return {part.name: getattr(self, part.name) - getattr(other, part.name) for part in fields(self)}


def parameters(shape: ModelShape) -> Parameters:
    """All parameters of a model; a tied head counts once, as embedding."""
    return _counted(shape, lambda experts: experts.number)


def active_parameters(shape: ModelShape) -> Parameters:
    """Parameters that one token passes through: of the experts, the chosen and the shared ones.

    The embedding counts whole, as published figures have it, though a token looks up one row of it.
    """
    return _counted(shape, lambda experts: experts.chosen)


def touched_parameters(shape: ModelShape, tokens: float) -> Parameters:
    """Parameters that a step of so many tokens reads: of the experts, as many as are expected to be touched.

    A tied head is read like any other (`head`); of the embedding only rows are, which count as nothing.
    """
    counted = _counted(shape, lambda experts: expected_experts(experts.number, experts.chosen, tokens))
    tied = shape.vocabulary * (shape.embedding_width or shape.hidden) if shape.tied else 0
    return replace(counted, embedding=0, head=counted.head + tied)


def expected_experts(number: int, chosen: int, tokens: float) -> float:
    """How many of `number` experts are touched when `tokens` tokens choose `chosen` each, evenly and independently.

    number x (1 - (1 - chosen / number) ^ tokens).

    Raises:
        ValueError: if more are chosen than there are, or for a negative number of tokens.
    """
    if not 0 < chosen <= number or tokens < 0:
        raise ValueError(f"{chosen} of {number} experts for {tokens} tokens cannot be")
    return float(number * (1.0 - (1.0 - chosen / number) ** tokens))


def block_parameters(block: FeedForward, hidden: int) -> int:
    """One feed-forward block; a gated one has its biases on two inputs and one output."""
    biases = ((2 if block.gated else 1) * block.width + hidden) if block.bias else 0
    return block.matrices * hidden * block.width + biases


def feed_forward_parameters(
    part: FeedForward | Experts | None, hidden: int, *, experts: float | None = None
) -> tuple[float, int]:
    """(blocks, router) of one layer. `experts`: how many count; None for all."""
    if part is None:
        return 0, 0
    if isinstance(part, FeedForward):
        return block_parameters(part, hidden), 0
    counted = part.number if experts is None else experts
    blocks = counted * block_parameters(part.expert, hidden)
    if part.shared is not None:
        blocks += block_parameters(part.shared, hidden) + hidden * part.shared_gate
    return blocks, part.number * (hidden + part.router_bias)


def mixer_parameters(mixer: Mixer, hidden: int) -> tuple[int, int, int]:
    """(queries and output, keys and values, state space) of one layer."""
    if isinstance(mixer, GroupedAttention):
        return _grouped(mixer, hidden)
    if isinstance(mixer, LatentAttention):
        return _latent(mixer, hidden)
    return 0, 0, _state_space(mixer, hidden)


def _counted(shape: ModelShape, how_many: Callable[[Experts], float]) -> Parameters:
    hidden = shape.hidden
    queries = keys_values = state_space = router = norms = 0
    feed_forward = 0.0
    for kind in shape.layers:
        part = kind.feed_forward
        counted = how_many(part) if isinstance(part, Experts) else None
        blocks, routing = feed_forward_parameters(part, hidden, experts=counted)
        parts = mixer_parameters(kind.mixer, hidden)
        queries += kind.count * parts[0]
        keys_values += kind.count * parts[1]
        state_space += kind.count * parts[2]
        feed_forward += kind.count * blocks
        router += kind.count * routing
        norms += kind.count * kind.norms
    scale = hidden * (2 if shape.norm_bias else 1)
    width = shape.embedding_width or hidden
    led = 0 if shape.embedding_width is None else width * hidden  # from one width to the other
    head = 0 if shape.tied else shape.vocabulary * width
    return Parameters(
        embedding=shape.vocabulary * width + shape.positions * hidden + led,
        head=head + led + (shape.vocabulary if shape.head_bias else 0),
        queries=queries,
        keys_values=keys_values,
        state_space=state_space,
        feed_forward=round(feed_forward),
        router=router,
        norms=(norms + shape.final_norms) * scale,
    )


def _grouped(mixer: GroupedAttention, hidden: int) -> tuple[int, int, int]:
    queries = hidden * mixer.query_width * (2 if mixer.queries_gated else 1) + mixer.query_width * hidden
    keys_values = 2 * hidden * mixer.kv_width
    if mixer.qkv_bias:
        queries += mixer.query_width
        keys_values += 2 * mixer.kv_width
    queries += hidden * mixer.out_bias + mixer.qk_norm + mixer.heads * mixer.sinks
    return queries, keys_values, 0


def _latent(mixer: LatentAttention, hidden: int) -> tuple[int, int, int]:
    """Projections of DeepSeek-V2 (arXiv 2405.04434, section 2.1), with the norms on both compressed vectors."""
    width = mixer.heads * (mixer.nope_dim + mixer.rope_dim)
    rank = mixer.query_rank
    queries = hidden * width if rank is None else hidden * rank + rank + rank * width
    queries += mixer.heads * mixer.value_dim * hidden
    down = hidden * (mixer.kv_rank + mixer.rope_dim) + mixer.kv_rank
    return queries, down + mixer.kv_rank * mixer.heads * (mixer.nope_dim + mixer.value_dim), 0


def _state_space(mixer: StateSpace, hidden: int) -> int:
    """Mamba (arXiv 2312.00752): in and out projections, the kernel, the step and state projections, A and D."""
    inner = mixer.inner
    projections = 2 * hidden * inner + inner * hidden
    biases = (2 * inner + hidden) if mixer.projection_bias else 0
    kernel = inner * (mixer.kernel + mixer.kernel_bias)
    selected = inner * (mixer.step_rank + 2 * mixer.state)
    step = mixer.step_rank * inner + inner
    return projections + biases + kernel + selected + step + inner * mixer.state + inner + mixer.inner_norms

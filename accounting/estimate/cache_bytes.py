"""Bytes that sequences hold in memory: keys and values that grow with their length, states that do not."""

from __future__ import annotations

from accounting.estimate.shape import GroupedAttention, LatentAttention, Mixer, ModelShape, StateSpace


def elements_per_token(mixer: Mixer) -> int:
    """Elements that one layer keeps of each token: keys and values, or their compressed vector; 0 for a state."""
    if isinstance(mixer, GroupedAttention):
        return 2 * mixer.kv_width
    if isinstance(mixer, LatentAttention):
        return mixer.kv_rank + mixer.rope_dim
    return 0


def kept_tokens(mixer: Mixer, context: float) -> float:
    """How many tokens of a context a layer keeps: a window forgets the older ones."""
    if isinstance(mixer, GroupedAttention) and mixer.window is not None:
        return min(context, mixer.window)
    return context


def bytes_per_token(shape: ModelShape, element_bytes: float = 2.0) -> float:
    """Bytes that one more token adds while it lies in every window."""
    return element_bytes * sum(kind.count * elements_per_token(kind.mixer) for kind in shape.layers)


def tensor_parallel_share(mixer: Mixer, ways: int) -> float:
    """Which share of a layer's cache each of `ways` devices holds.

    Key-value heads are divided while there are enough and repeated beyond that; a compressed vector is repeated.
    """
    if isinstance(mixer, LatentAttention):
        return 1.0
    if isinstance(mixer, GroupedAttention):
        return 1.0 / min(ways, mixer.kv_heads)
    return 1.0 / ways


def sequence_bytes(
    shape: ModelShape, context: float, *, ways: int = 1, element_bytes: float = 2.0, state_bytes: float = 2.0
) -> float:
    """Bytes of one sequence of `context` tokens on each of `ways` tensor-parallel devices: what grows, and the states.

    `element_bytes` of a key or value, `state_bytes` of an element of a state (vLLM keeps states in the model's type).

    Raises:
        ValueError: for a negative context.
    """
    if context < 0:
        raise ValueError(f"a context of {context} tokens cannot be")
    held = 0.0
    for kind in shape.layers:
        mixer = kind.mixer
        grown = elements_per_token(mixer) * kept_tokens(mixer, context) * element_bytes
        whole = grown + _state_elements(mixer) * state_bytes
        held += kind.count * whole * tensor_parallel_share(mixer, ways)
    return held


def state_elements(shape: ModelShape) -> int:
    """Elements of constant state per sequence."""
    return sum(kind.count * _state_elements(kind.mixer) for kind in shape.layers)


def _state_elements(mixer: Mixer) -> int:
    """Of one layer: the scan's state, and the last inputs that its kernel still sees."""
    if isinstance(mixer, StateSpace):
        return mixer.inner * (mixer.state + mixer.kernel - 1)
    return 0

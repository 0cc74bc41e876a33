"""Where attention overtakes the rest: of a layer that sees the whole context, if the model has one."""

from __future__ import annotations

from dataclasses import replace

from accounting.estimate.known_shapes import LLAMA_3_8B, MISTRAL_7B_WINDOW
from accounting.estimate.operations import crossings
from accounting.estimate.shape import GroupedAttention, LayerKind


def windowed(window: int) -> LayerKind:
    (kind,) = LLAMA_3_8B.layers
    assert isinstance(kind.mixer, GroupedAttention)
    return replace(kind, mixer=replace(kind.mixer, window=window))


def test_a_window_in_the_first_layer_does_not_hide_the_others() -> None:
    """gpt-oss and Gemma-2 begin with a sliding layer; half of their layers see everything."""
    alternating = replace(LLAMA_3_8B, layers=(windowed(128), *LLAMA_3_8B.layers))
    assert crossings(alternating) == crossings(LLAMA_3_8B)
    found = crossings(alternating)
    assert found is not None
    assert found.projections is not None


def test_windows_everywhere_end_what_attention_can_become() -> None:
    found = crossings(replace(LLAMA_3_8B, layers=(windowed(128), windowed(4096))))
    assert found is not None
    assert (found.projections, found.all_else) == (None, None)
    mistral = crossings(MISTRAL_7B_WINDOW)
    assert mistral is not None
    assert mistral.all_else is None

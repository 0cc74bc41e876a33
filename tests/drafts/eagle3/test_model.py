"""All chains of a text computed at once are those that a server makes one by one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

torch = pytest.importorskip("torch", reason="comes with the engine")

from drafts.eagle3.model import Eagle3Head, HeadShape, rotary_of, rotated  # noqa: E402

SHAPE = HeadShape(hidden=16, intermediate=24, heads=4, kv_heads=2, head_size=4, vocabulary=20)
Tensor = torch.Tensor


def chain(
    head: Eagle3Head,
    feature: Tensor,
    embeddings: Sequence[Tensor],
    position: int,
    cache: list[tuple[Tensor, Tensor]],
) -> list[Tensor]:
    """One chain step by step, with a cache of the slots before it."""
    states, layer = [], head.midlayer
    attention = layer.self_attn
    for step, embedded in enumerate(embeddings):
        rotary = rotary_of(torch.tensor([position + step]), head.shape, feature.dtype)
        x = torch.cat([layer.input_layernorm(embedded), layer.hidden_norm(feature)], dim=-1)
        heads, narrow = head.shape.heads, head.shape.kv_heads
        q = rotated(attention.q_proj(x).unflatten(-1, (heads, -1)).transpose(1, 2), rotary)
        k = rotated(attention.k_proj(x).unflatten(-1, (narrow, -1)).transpose(1, 2), rotary)
        v = attention.v_proj(x).unflatten(-1, (narrow, -1)).transpose(1, 2)
        cache.append((k, v))
        keys = torch.cat([key for key, _ in cache], dim=2).repeat_interleave(heads // narrow, dim=1)
        values = torch.cat([value for _, value in cache], dim=2).repeat_interleave(heads // narrow, dim=1)
        weights = (q @ keys.transpose(-1, -2) / head.shape.head_size**0.5).softmax(dim=-1)
        x = feature + attention.o_proj((weights @ values).transpose(1, 2).flatten(2))
        feature = x + layer.mlp(layer.post_attention_layernorm(x))
        states.append(feature)
    return states


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_unrolled_passes_are_the_chains_of_every_slot(steps: int) -> None:
    torch.manual_seed(3)
    head = Eagle3Head(SHAPE).double()
    length = 7
    features = torch.randn(1, length, 3 * SHAPE.hidden, dtype=torch.double)
    embedded = torch.randn(1, length, SHAPE.hidden, dtype=torch.double)
    states = head.unrolled(features, embedded, steps)
    fused = head.fc(features)
    for slot in range(length - steps):
        cache: list[tuple[Tensor, Tensor]] = []
        for before in range(slot):
            chain(head, fused[:, before : before + 1], [embedded[:, before + 1 : before + 2]], before, cache)
        following = [embedded[:, slot + 1 + step : slot + 2 + step] for step in range(steps)]
        expected = chain(head, fused[:, slot : slot + 1], following, slot, cache)
        for step in range(steps):
            torch.testing.assert_close(states[step][:, slot], expected[step][:, 0])


def test_padding_behind_a_text_changes_nothing_in_it() -> None:
    torch.manual_seed(4)
    head = Eagle3Head(SHAPE)
    features, embedded = torch.randn(1, 9, 48), torch.randn(1, 9, 16)
    alone = head.unrolled(features[:, :6], embedded[:, :6], 3)
    longer = head.unrolled(features, embedded, 3)
    for step in range(3):
        torch.testing.assert_close(longer[step][:, : 5 - step], alone[step][:, : 5 - step])


def test_the_names_are_those_of_vllm_s_layout() -> None:
    assert set(Eagle3Head(SHAPE).state_dict()) == {
        "fc.weight", "norm.weight", "lm_head.weight",
        *(f"midlayer.self_attn.{name}_proj.weight" for name in "qkvo"),
        *(f"midlayer.mlp.{name}_proj.weight" for name in ("gate", "up", "down")),
        *(f"midlayer.{name}.weight" for name in ("input_layernorm", "hidden_norm", "post_attention_layernorm")),
    }  # fmt: skip

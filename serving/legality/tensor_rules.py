"""Has this EAGLE-3 head every tensor, in the shapes that its config.json and its target imply?

vLLM 0.32 does not notice a missing tensor: the head then runs with uninitialised memory and drafts noise.
"""

from __future__ import annotations

from collections.abc import Iterator

from serving.config import ServerConfig
from serving.legality.refusal import Circumstances, Refusal, Rule
from serving.models.checkpoint_facts import CheckpointFacts
from serving.speculation import BlockDraftSpeculation, EagleSpeculation

#: Last parts of the tensors' names; the layer is called `midlayer` or `layers.0`.
_LAYER = (
    "self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight", "self_attn.o_proj.weight",
    "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight", "input_layernorm.weight",
    "hidden_norm.weight", "post_attention_layernorm.weight",
)  # fmt: skip
_ALONE = ("fc.weight", "norm.weight")
_EXPORT_AGAIN = "Export the head again; vLLM would run it with uninitialised memory in that place."


def _eagle3(
    config: ServerConfig, circumstances: Circumstances
) -> tuple[CheckpointFacts, CheckpointFacts] | None:
    speculation, target, head = config.speculation, circumstances.target, circumstances.draft
    if not isinstance(speculation, EagleSpeculation) or speculation.method != "eagle3":
        return None
    if target is None or head is None or not head.is_head:
        return None
    return target, head


def every_tensor_is_there(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """Llama- and Qwen-shaped heads: one layer, its norms, the joining matrix, and a head where it is reduced."""
    found = _eagle3(config, circumstances)
    if not found or not found[1].shapes or not _is_plain_layer(found[1]):
        return
    _, head = found
    missing = [name for name in _ALONE if head.shape(name) is None]
    missing += [part for part in _LAYER if not any(name.endswith(f".{part}") for name in head.shapes)]
    if head.integer("draft_vocab_size") not in (None, head.integer("vocab_size")) and not any(
        name.endswith("lm_head.weight") for name in head.shapes
    ):
        missing.append("lm_head.weight")
    if missing:
        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        yield Refusal("head-tensors", f"{head.name} lacks {', '.join(missing[:4])}{more}.", _EXPORT_AGAIN)


def _is_plain_layer(head: CheckpointFacts) -> bool:
    said = " ".join((*head.architectures, str(head.value("model_type")))).lower()
    fused = any("qkv_proj" in name or "gate_up_proj" in name for name in head.shapes)
    return ("llama" in said or "qwen" in said) and not fused


def narrow_heads_bring_an_embedding(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """A head of another width cannot share the target's embedding."""
    found = _eagle3(config, circumstances)
    if not found or not found[1].shapes:
        return
    target, head = found
    widths = (head.integer("hidden_size"), target.integer("hidden_size"))
    if None in widths or widths[0] == widths[1] or head.shape("embed_tokens.weight"):
        return
    if head.integer("target_hidden_size") == widths[1]:
        yield Refusal(
            "head-embedding",
            f"{head.name} is {widths[0]} wide and its target {widths[1]}: it needs an embed_tokens.weight of its own.",
            _EXPORT_AGAIN,
        )


def inner_layers_exist(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """Auxiliary layers: numbered from 0 to the target's number of layers, distinct, as many as were joined."""
    speculation, target, head = config.speculation, circumstances.target, circumstances.draft
    if (
        not isinstance(speculation, EagleSpeculation | BlockDraftSpeculation)
        or target is None
        or head is None
    ):
        return
    layers, wide = target.integer("num_hidden_layers"), target.integer("hidden_size")
    said = _layer_ids(head)
    if layers is None or speculation.method == "eagle":
        return
    # vLLM's default where a head says nothing.
    ids = said or ([2, layers // 2, layers - 3] if speculation.method == "eagle3" else [])
    problem = _problem(ids, layers, bool(said), head.shape("fc.weight"), wide)
    if problem:
        yield Refusal("layer-ids", f"{head.name} {problem}.", "Take a head that was trained for this target.")


def _problem(
    ids: list[int], layers: int, said: bool, joined: tuple[int, ...] | None, wide: int | None
) -> str:
    shown = ", ".join(map(str, ids))
    source = "reads" if said else "says no layer ids and would read vLLM's default,"
    if any(not 0 <= number <= layers for number in ids):
        return f"{source} layers {shown} of a target with {layers}"
    if len(set(ids)) < len(ids):
        return f"{source} layers {shown}: one of them twice, which the engine does not join"
    if joined is not None and len(joined) == 2 and wide and ids and joined[1] != len(ids) * wide:
        return f"{source} layers {shown}, but its fc.weight joins {joined[1] / wide:g} states of width {wide}"
    return ""


def _layer_ids(head: CheckpointFacts) -> list[int]:
    nested = head.config.get("eagle_config")
    inner = nested.get("eagle_aux_hidden_state_layer_ids") if isinstance(nested, dict) else None
    ids = head.value("eagle_aux_hidden_state_layer_ids") or inner or []
    return [number for number in ids if isinstance(number, int)]


TENSOR_RULES: tuple[Rule, ...] = (
    every_tensor_is_there,
    narrow_heads_bring_an_embedding,
    inner_layers_exist,
)

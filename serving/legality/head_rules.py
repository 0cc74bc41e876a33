"""Does this head (EAGLE, MTP, Medusa, DFlash) belong to this target? Read from config.json and tensor shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from serving.config import ServerConfig
from serving.legality.draft_rules import has_mark
from serving.legality.eagle3_targets import EAGLE3_TARGETS
from serving.legality.refusal import Circumstances, Refusal, Rule
from serving.models.checkpoint_facts import CheckpointFacts
from serving.speculation import (
    BlockDraftSpeculation,
    EagleSpeculation,
    MedusaSpeculation,
    MtpSpeculation,
)

_HEAD_SECTIONS = EagleSpeculation | MedusaSpeculation | BlockDraftSpeculation
#: Keys with which a config.json says how many multi-token-prediction layers it brings.
_MTP_KEYS = ("num_nextn_predict_layers", "mtp_num_hidden_layers", "n_predict", "num_mtp_modules")
_TAKE_ITS_OWN_HEAD = "Take a head that was trained for this target."


def _head(
    config: ServerConfig, circumstances: Circumstances
) -> tuple[Any, CheckpointFacts, CheckpointFacts] | None:
    if not isinstance(config.speculation, _HEAD_SECTIONS):
        return None
    if circumstances.target is None or circumstances.draft is None:
        return None
    return config.speculation, circumstances.target, circumstances.draft


def head_is_a_head(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """A whole language model is no head."""
    found = _head(config, circumstances)
    if found and not found[2].is_head and not isinstance(found[0], MedusaSpeculation):
        yield Refusal(
            "model-as-head",
            f"{found[2].name} ({', '.join(found[2].architectures) or 'no architecture'}) is a language model, "
            f"not a head for {found[0].method}.",
            "Write `method: draft_model`, or give a head.",
        )


def head_is_of_this_method(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """EAGLE-1 and DFlash classes cannot load an EAGLE-3 head (and vLLM says so by an architecture name)."""
    found = _head(config, circumstances)
    said = " ".join(found[2].architectures).lower() if found else ""
    if found and "eagle3" in said and found[0].method in ("eagle", "dflash", "dspark"):
        yield Refusal(
            "eagle3-head-elsewhere",
            f"{found[2].name} is an EAGLE-3 head, which {found[0].method} cannot load.",
            "Write `method: eagle3`.",
        )


def hidden_sizes_agree(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """A head reads the target's hidden states: one width, unless it says which it reads."""
    found = _head(config, circumstances)
    if not found:
        return
    _, target, head = found
    reads = head.integer("target_hidden_size") or head.integer("hidden_size")
    wide = target.integer("hidden_size")
    if reads is not None and wide is not None and reads != wide:
        yield Refusal(
            "hidden-size",
            f"{head.name} reads hidden states of width {reads}, {target.name} has {wide}: it was trained for "
            "another model.",
            _TAKE_ITS_OWN_HEAD,
        )


def head_vocabulary_fits(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """A head speaks the target's tokens, or a subset with a table from its own ids."""
    found = _head(config, circumstances)
    if not found or isinstance(found[0], MedusaSpeculation):
        return
    _, target, head = found
    own, whole = head.integer("vocab_size"), target.integer("vocab_size")
    if own is not None and whole is not None and own != whole:
        yield Refusal(
            "head-vocabulary",
            f"{head.name} was trained on {own:,} tokens, {target.name} has {whole:,}.",
            _TAKE_ITS_OWN_HEAD,
        )
    reduced = head.integer("draft_vocab_size")
    if reduced is not None and own is not None and reduced < own and head.shapes and not head.shape("d2t"):
        yield Refusal(
            "no-token-table",
            f"{head.name} drafts from {reduced:,} of {own:,} tokens but has no tensor `d2t` that says which: "
            "vLLM does not notice and maps every draft wrongly.",
            "Export the head again with its d2t table.",
        )


def target_shows_its_inner_layers(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """EAGLE-3 and DFlash need a target class that hands out inner hidden states."""
    speculation, target = config.speculation, circumstances.target
    needs = isinstance(speculation, BlockDraftSpeculation) or speculation.method == "eagle3"
    if not needs or target is None or not target.architectures:
        return
    if not EAGLE3_TARGETS & set(target.architectures):
        yield Refusal(
            "no-inner-layers",
            f"vLLM 0.32's {', '.join(target.architectures)} does not hand out inner hidden states, which "
            f"{speculation.method} reads.",
            "Take eagle, mtp, draft_model, ngram or suffix for this target.",
        )


def speculators_say_their_norm(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """vLLM takes an absent norm_before_residual as true in the speculators format, as false in the plain one."""
    found = _head(config, circumstances)
    if found and found[2].speculators_type == "eagle3" and "norm_before_residual" not in found[2].config:
        yield Refusal(
            "norm-before-residual",
            f"{found[2].name} is in the speculators format and does not say norm_before_residual: vLLM takes "
            "it as true, its trainer may have meant false, and acceptance would fall without an error.",
            'Add "norm_before_residual": true or false to its config.json, as it was trained.',
        )


def parallel_head_was_trained_for_it(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """P-EAGLE heads bring a hidden state for the positions to be filled."""
    found = _head(config, circumstances)
    if not found or not getattr(found[0], "parallel_drafting", None):
        return
    without_state = bool(found[2].shapes) and found[2].shape("mask_hidden") is None
    if without_state or not has_mark(found[2]):
        lacks = "it has no tensor `mask_hidden`" if without_state else "its config.json names no mask token"
        yield Refusal(
            "parallel-head-without-mask",
            f"{found[2].name} was not trained to draft in parallel: {lacks}.",
            "Remove parallel_drafting, or take a P-EAGLE head.",
        )


def mtp_layers_are_there(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """`mtp` runs layers that few checkpoints bring."""
    speculation = config.speculation
    source = circumstances.draft or circumstances.target
    if not isinstance(speculation, MtpSpeculation) or source is None:
        return
    layers = next((n for key in _MTP_KEYS if (n := source.integer(key))), 0)
    k = speculation.num_speculative_tokens
    if not layers and not source.is_head:
        yield Refusal(
            "no-mtp-layers",
            f"{source.name} brings no multi-token-prediction layers ({', '.join(_MTP_KEYS)} are absent from "
            "its config.json).",
            "Take ngram, suffix, draft_model or an eagle3 head.",
        )
    elif layers and k > layers and k % layers:
        yield Refusal(
            "mtp-divisibility",
            f"num_speculative_tokens {k} is no multiple of the {layers} prediction layers of {source.name}.",
            f"Take {layers * (k // layers)} or {layers * (k // layers + 1)}.",
        )


HEAD_RULES: tuple[Rule, ...] = (
    head_is_a_head,
    head_is_of_this_method,
    hidden_sizes_agree,
    head_vocabulary_fits,
    target_shows_its_inner_layers,
    speculators_say_their_norm,
    parallel_head_was_trained_for_it,
    mtp_layers_are_there,
)

"""Does this draft model fit this target? Read from both config.json files and both vocabularies."""

from __future__ import annotations

from collections.abc import Iterator

from serving.config import ServerConfig
from serving.legality.refusal import Circumstances, Refusal, Rule
from serving.models.checkpoint_facts import CheckpointFacts, common_tokens
from serving.speculation import DraftModelSpeculation, ModelDraft

#: Share of ids that may mean another text: two conversions of one tokenizer spell byte tokens differently.
SAME_TOKENIZER_TOLERANCE = 0.01
#: Where a config.json names the token that a parallel draft fills in (v1/spec_decode/llm_base_proposer.py).
PARALLEL_MARKS = ("pard_token", "ptd_token_id", "mask_token_id", "dspark_noise_token_id")
#: Least number of tokens in common for a draft with another tokenizer to be worth a start.
LEAST_COMMON_TOKENS = 1000


def _pair(
    config: ServerConfig, circumstances: Circumstances
) -> tuple[DraftModelSpeculation, CheckpointFacts, CheckpointFacts] | None:
    speculation = config.speculation
    if not isinstance(speculation, DraftModelSpeculation):
        return None
    if circumstances.target is None or circumstances.draft is None:
        return None
    return speculation, circumstances.target, circumstances.draft


def draft_is_a_language_model(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """A head has no layers of its own to run as a draft model."""
    pair = _pair(config, circumstances)
    if pair and pair[2].is_head:
        kind = pair[2].speculators_type or ", ".join(pair[2].architectures) or "a head"
        yield Refusal(
            "head-as-draft-model",
            f"{pair[2].name} is a head ({kind}), not a language model that draft_model could run.",
            "Write its own method (eagle3, dflash, medusa, ...).",
        )


def vocabularies_have_one_size(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """Without use_heterogeneous_vocab vLLM compares logits row by row."""
    pair = _pair(config, circumstances)
    if not pair or pair[0].use_heterogeneous_vocab or pair[2].is_head:
        return
    _, target, draft = pair
    sizes = (target.integer("vocab_size"), draft.integer("vocab_size"))
    if None not in sizes and sizes[0] != sizes[1]:
        yield Refusal(
            "vocabulary-size",
            f"{draft.name} knows {sizes[1]:,} tokens and {target.name} {sizes[0]:,}: their logits cannot be "
            "compared.",
            _other_tokenizer_way_out(target, draft),
        )


def tokenizers_agree(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """vLLM checks the size only: with equal sizes and other tokens every draft is noise, accepted by chance."""
    pair = _pair(config, circumstances)
    if not pair or pair[0].use_heterogeneous_vocab:
        return
    _, target, draft = pair
    if target.integer("vocab_size") != draft.integer("vocab_size") or not (target.tokens and draft.tokens):
        return
    other = sum(draft.tokens.get(text) != number for text, number in target.tokens.items())
    if other > SAME_TOKENIZER_TOLERANCE * len(target.tokens):
        yield Refusal(
            "tokenizer-differs",
            f"{draft.name} and {target.name} have vocabularies of one size, but {other:,} of "
            f"{len(target.tokens):,} tokens have another id or are unknown to the draft; vLLM would not notice "
            "and reject nearly every draft.",
            _other_tokenizer_way_out(target, draft),
        )


def _other_tokenizer_way_out(target: CheckpointFacts, draft: CheckpointFacts) -> str:
    common = common_tokens(target, draft)
    if common >= LEAST_COMMON_TOKENS:
        return (
            f"Set use_heterogeneous_vocab: true ({common:,} tokens are common), or take a draft of the same "
            "tokenizer."
        )
    return "Take a draft of the target's own tokenizer."


def heterogeneous_has_something_in_common(
    config: ServerConfig, circumstances: Circumstances
) -> Iterator[Refusal]:
    """A draft that shares no tokens can never be right."""
    pair = _pair(config, circumstances)
    if not pair or not pair[0].use_heterogeneous_vocab or not (pair[1].tokens and pair[2].tokens):
        return
    common = common_tokens(pair[1], pair[2])
    if common < LEAST_COMMON_TOKENS:
        yield Refusal(
            "nothing-in-common",
            f"{pair[2].name} and {pair[1].name} share {common} tokens: next to nothing could be drafted.",
            "Take another draft.",
        )


def parallel_draft_was_trained_for_it(
    config: ServerConfig, circumstances: Circumstances
) -> Iterator[Refusal]:
    """PARD drafts mark the positions to be filled with a token of their own."""
    pair = _pair(config, circumstances)
    if pair and pair[0].parallel_drafting and not has_mark(pair[2]):
        yield Refusal(
            "parallel-draft-without-mark",
            f"{pair[2].name} was not trained to draft in parallel: its config.json has none of "
            f"{', '.join(PARALLEL_MARKS)}.",
            "Remove parallel_drafting, or take a PARD draft.",
        )


def has_mark(draft: CheckpointFacts) -> bool:
    """Whether config.json names the token that stands for a position to be filled."""
    inner = draft.config.get("dflash_config")
    nested = isinstance(inner, dict) and inner.get("mask_token_id") is not None
    return nested or any(draft.integer(name) is not None for name in PARALLEL_MARKS)


def draft_passed_its_check(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """A draft that was found not to be what was trained, or not to belong to its target."""
    speculation, draft, target = config.speculation, circumstances.draft, circumstances.target
    if not isinstance(speculation, ModelDraft) or speculation.unchecked or draft is None or target is None:
        return
    if isinstance(speculation, DraftModelSpeculation) and speculation.use_heterogeneous_vocab:
        return  # what was checked is a draft of the target's own tokens
    verdict = draft.verdicts.get(target.mark)
    if verdict is not None and (failure := verdict.failure(draft.name)):
        yield Refusal(
            "draft-failed-its-check",
            failure,
            "Train or export it again and check it, or serve it all the same with --unchecked (`unchecked: true` in its "
            "speculation section).",
        )


DRAFT_RULES: tuple[Rule, ...] = (
    draft_is_a_language_model,
    vocabularies_have_one_size,
    tokenizers_agree,
    heterogeneous_has_something_in_common,
    parallel_draft_was_trained_for_it,
    draft_passed_its_check,
)

"""Which speculative methods run where, and with which of the settings that all methods share."""

from __future__ import annotations

from collections.abc import Iterator

from serving.config import ServerConfig
from serving.legality.refusal import Circumstances, Refusal, Rule
from serving.speculation import (
    BlockDraftSpeculation,
    CustomClassSpeculation,
    DraftModelSpeculation,
    EagleSpeculation,
    MedusaSpeculation,
    ModelDraft,
    NoSpeculation,
    Speculating,
    SuffixSpeculation,
)

#: Methods that vLLM's second model runner lacks: on CUDA they fall back to the first one.
_FIRST_RUNNER_ONLY = ("suffix", "medusa", "custom_class")


def schedule_needs_a_method_that_obeys_it(
    config: ServerConfig, circumstances: Circumstances
) -> Iterator[Refusal]:
    """Suffix and Medusa assert a constant k; a custom class is never told the scheduled one."""
    speculation = config.speculation
    if isinstance(speculation, NoSpeculation) or speculation.num_speculative_tokens_per_batch_size is None:
        return
    name = "schedule-and-method"
    way_out = "Remove num_speculative_tokens_per_batch_size, or take ngram, draft_model or eagle3."
    if isinstance(speculation, SuffixSpeculation | MedusaSpeculation):
        yield Refusal(
            name,
            f"{speculation.method} asserts that k never changes: with a schedule by batch size the engine "
            "dies at the first step that has another k.",
            way_out,
        )
    elif isinstance(speculation, CustomClassSpeculation):
        yield Refusal(
            name,
            "custom_class is not told the scheduled k: vLLM would ignore the schedule without a word.",
            way_out,
        )
    if (config.parallelism.data_parallel_size or 1) > 1:
        yield Refusal(
            "schedule-and-data-parallel",
            "a schedule by batch size is dropped by vLLM when data_parallel_size is above 1: k would be "
            f"{speculation.num_speculative_tokens} at every load.",
            "Set parallelism.data_parallel_size to 1, or remove the schedule.",
        )
    first_runner = config.engine.environment.get("VLLM_USE_V2_MODEL_RUNNER") == "0"
    if circumstances.device == "cuda" and isinstance(speculation, DraftModelSpeculation) and not first_runner:
        yield Refusal(
            "schedule-and-draft-model-on-cuda",
            "vLLM's second model runner, the default on CUDA, drafts all k tokens with draft_model whatever "
            "the schedule says.",
            "Set engine.environment: {VLLM_USE_V2_MODEL_RUNNER: '0'}, or remove the schedule.",
        )


def rejection_method_needs_its_sampler(
    config: ServerConfig, circumstances: Circumstances
) -> Iterator[Refusal]:
    """`synthetic` asserts on CPU; `block` exists in the second model runner only and is ignored elsewhere."""
    speculation = config.speculation
    if isinstance(speculation, NoSpeculation):
        return
    if speculation.rejection_sample_method == "synthetic" and circumstances.device == "cpu":
        yield Refusal(
            "synthetic-on-cpu",
            "rejection_sample_method synthetic has no CPU kernel in vLLM 0.32: the engine dies at the first "
            "drafted step.",
            "Use custom_class with a proposer that knows the answers, or measure on CUDA.",
        )
    if speculation.rejection_sample_method == "block":
        if circumstances.device == "cpu":
            yield Refusal(
                "block-on-cpu",
                "rejection_sample_method block exists in vLLM's second model runner only, which CPU does not "
                "use: it would be ignored without a word and standard measured.",
                "Remove rejection_sample_method.",
            )
        elif speculation.method in _FIRST_RUNNER_ONLY or _falls_back(speculation):
            yield Refusal(
                "block-and-method",
                f"{speculation.method} with these settings runs in vLLM's first model runner, which ignores "
                "rejection_sample_method block without a word.",
                "Remove rejection_sample_method, or take another method.",
            )


def _falls_back(speculation: Speculating) -> bool:
    """Whether a setting, not the method, keeps the second model runner from being used."""
    if isinstance(speculation, DraftModelSpeculation):
        return bool(speculation.parallel_drafting or speculation.use_heterogeneous_vocab)
    return isinstance(speculation, EagleSpeculation) and bool(speculation.parallel_drafting)


def device_needs_to_have_the_method(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """`ngram_gpu` and `dspark` are CUDA code."""
    if circumstances.device != "cpu":
        return
    if config.speculation.method == "ngram_gpu":
        yield Refusal("ngram-gpu-on-cpu", "ngram_gpu needs CUDA.", "Write `method: ngram`: the same lookup.")
    if config.speculation.method == "dspark":
        yield Refusal(
            "dspark-on-cpu",
            "dspark exists in vLLM's second model runner only, which CPU does not use.",
            "Take dflash or eagle3, or a CUDA machine.",
        )


def block_settings_need_dspark(config: ServerConfig, _circumstances: Circumstances) -> Iterator[Refusal]:
    """Adaptive verification and candidate lists are DSpark's."""
    speculation = config.speculation
    if isinstance(speculation, BlockDraftSpeculation) and speculation.method != "dspark":
        given = [
            name
            for name in ("enable_adaptive_verification", "dspark_draft_topk")
            if getattr(speculation, name) is not None
        ]
        if given:
            yield Refusal(
                "dspark-settings",
                f"{' and '.join(given)}: only dspark has this.",
                "Remove it, or write `method: dspark`.",
            )


def suffix_needs_its_package(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """Suffix trees are arctic-inference's."""
    if isinstance(config.speculation, SuffixSpeculation) and not circumstances.has_package(
        "arctic_inference"
    ):
        yield Refusal(
            "suffix-package",
            "suffix needs the package arctic-inference, which is not installed in this environment.",
            "Install it: `make setup` builds it where a C++ compiler is, or `pip install 'kilotoken[suffix]'`.",
        )


def heterogeneous_drafts_are_greedy(config: ServerConfig, _circumstances: Circumstances) -> Iterator[Refusal]:
    """With two vocabularies there is no distribution over the target's tokens to sample from."""
    speculation = config.speculation
    if isinstance(speculation, DraftModelSpeculation) and speculation.use_heterogeneous_vocab:
        if speculation.draft_sample_method == "probabilistic":
            yield Refusal(
                "heterogeneous-and-probabilistic",
                "use_heterogeneous_vocab takes greedy drafts only.",
                "Remove draft_sample_method.",
            )
        if speculation.parallel_drafting:
            yield Refusal(
                "heterogeneous-and-parallel",
                "use_heterogeneous_vocab and parallel_drafting do not go together: a parallel draft is "
                "trained on the target's own tokens.",
                "Remove one of the two.",
            )


def draft_spreads_like_the_target(config: ServerConfig, _circumstances: Circumstances) -> Iterator[Refusal]:
    """A draft runs on one device or on as many as the target; a draft model only on as many."""
    speculation = config.speculation
    if not isinstance(speculation, ModelDraft) or speculation.draft_tensor_parallel_size is None:
        return
    own, target = speculation.draft_tensor_parallel_size, config.parallelism.tensor_parallel_size or 1
    allowed = {target} if isinstance(speculation, DraftModelSpeculation) else {1, target}
    if own not in allowed:
        yield Refusal(
            "draft-tensor-parallel",
            f"draft_tensor_parallel_size {own} does not go with tensor_parallel_size {target}: allowed here "
            f"is {' or '.join(map(str, sorted(allowed)))}.",
            "Remove draft_tensor_parallel_size: vLLM then takes the target's.",
        )


def draft_attention_is_the_devices(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """On CPU there is one attention backend; another one is ignored with a line in the log."""
    speculation = config.speculation
    if (
        circumstances.device == "cpu"
        and isinstance(speculation, ModelDraft)
        and speculation.attention_backend
    ):
        yield Refusal(
            "draft-attention-on-cpu",
            f"attention_backend {speculation.attention_backend} would be ignored: a CPU engine has one backend.",
            "Remove speculation.attention_backend.",
        )
    kv_dtype = getattr(speculation, "kv_cache_dtype", None)
    if circumstances.device == "cpu" and kv_dtype not in (None, "auto", config.kv_cache.dtype):
        yield Refusal(
            "draft-kv-dtype-on-cpu",
            f"speculation.kv_cache_dtype {kv_dtype} differs from the target's ({config.kv_cache.dtype}): a CPU engine "
            "dies at the first answer.",
            "Remove speculation.kv_cache_dtype, or set kv_cache.dtype for both.",
        )


def drafting_needs_slots(config: ServerConfig, _circumstances: Circumstances) -> Iterator[Refusal]:
    """vLLM refuses a token budget that a single request's drafting slots use up (config/vllm.py)."""
    speculation, budget = config.speculation, config.batching.max_num_batched_tokens
    if not isinstance(speculation, Speculating) or budget is None:
        return
    slots = drafting_slots(speculation)
    if budget <= slots:
        yield Refusal(
            "no-slots-to-draft",
            f"max_num_batched_tokens {budget} leaves no token beside the {slots} drafting slots of "
            f"{speculation.method} with k {speculation.num_speculative_tokens}.",
            f"Raise batching.max_num_batched_tokens above {slots}.",
        )


def drafting_slots(speculation: Speculating) -> int:
    """Slots that drafting adds to a request of a step (vLLM's max_num_new_slots_for_drafting)."""
    k = speculation.num_speculative_tokens
    if isinstance(speculation, BlockDraftSpeculation):
        return k if speculation.method == "dflash" else k - 1
    if isinstance(speculation, DraftModelSpeculation):
        return k if speculation.parallel_drafting else 1
    if isinstance(speculation, EagleSpeculation):
        return k - 1 if speculation.parallel_drafting else 0
    return 0


METHOD_RULES: tuple[Rule, ...] = (
    schedule_needs_a_method_that_obeys_it,
    rejection_method_needs_its_sampler,
    device_needs_to_have_the_method,
    block_settings_need_dspark,
    suffix_needs_its_package,
    heterogeneous_drafts_are_greedy,
    draft_spreads_like_the_target,
    draft_attention_is_the_devices,
    drafting_needs_slots,
)

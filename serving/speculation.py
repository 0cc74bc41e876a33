"""How tokens are drafted: one section per speculative method of vLLM, fields under vLLM's own names.

A section holds what can be said without looking at a model or a machine. What a checkpoint or a device rules
out is decided in `serving.legality`, before anything is started.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NoReturn

from pydantic import BeforeValidator, Field, model_validator

from serving.section import Section, as_tuple

MAX_DRAFT_TOKENS = 64

DraftTokens = Annotated[int, Field(ge=1, le=MAX_DRAFT_TOKENS)]
Share = Annotated[float, Field(ge=0, le=1)]
_Step = Annotated[
    tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=0)]],
    BeforeValidator(as_tuple),
]


class NoSpeculation(Section):
    """No speculation: one token per decode step."""

    method: Literal["off"] = "off"


class Speculating(Section):
    """What every method that drafts has in common."""

    num_speculative_tokens: DraftTokens
    """k, drafted tokens per step."""
    num_speculative_tokens_per_batch_size: (
        Annotated[tuple[_Step, ...], Field(min_length=1), BeforeValidator(as_tuple)] | None
    ) = None
    """Another k by how many requests share the step: [[first, last, k], ...] from 1 on without a gap; k 0 drafts nothing."""
    rejection_sample_method: Literal["standard", "synthetic", "block"] | None = None
    """How drafted tokens are judged; vLLM's default is standard, the only one that runs on CPU."""
    synthetic_acceptance_rates: (
        Annotated[tuple[Share, ...], Field(min_length=1), BeforeValidator(as_tuple)] | None
    ) = None
    """With `synthetic`: share of drafts whose first 1, 2, ... k tokens are all accepted. The text means nothing."""
    synthetic_acceptance_length: Annotated[float, Field(ge=1)] | None = None
    """With `synthetic`: mean tokens per drafted step, between 1 and k + 1."""

    @model_validator(mode="after")
    def _schedule_is_whole(self) -> Speculating:
        expected = 1
        for first, last, k in self.num_speculative_tokens_per_batch_size or ():
            if first != expected or last < first:
                raise ValueError(
                    f"num_speculative_tokens_per_batch_size: the entry [{first}, {last}, {k}] should begin at "
                    f"{expected} and end there or later (vLLM fills gaps silently with the k before)"
                )
            if k > self.num_speculative_tokens:
                raise ValueError(
                    f"num_speculative_tokens_per_batch_size: k {k} exceeds num_speculative_tokens "
                    f"({self.num_speculative_tokens}), to which vLLM would cut it silently"
                )
            expected = last + 1
        return self

    @model_validator(mode="after")
    def _synthetic_is_whole(self) -> Speculating:
        rates, length = self.synthetic_acceptance_rates, self.synthetic_acceptance_length
        if self.rejection_sample_method != "synthetic":
            if rates is not None or length is not None:
                raise ValueError("synthetic acceptance needs rejection_sample_method: synthetic")
            return self
        k = self.num_speculative_tokens
        if (rates is None) == (length is None):
            raise ValueError(
                "rejection_sample_method synthetic needs exactly one of synthetic_acceptance_rates and "
                "synthetic_acceptance_length"
            )
        if length is not None and length > k + 1:
            raise ValueError(f"synthetic_acceptance_length lies between 1 and k + 1 ({k + 1})")
        if rates is not None and (len(rates) != k or list(rates) != sorted(rates, reverse=True)):
            raise ValueError(f"synthetic_acceptance_rates holds k ({k}) shares that never rise")
        return self


class NgramSpeculation(Speculating):
    """Draft by looking the last tokens up in the prompt and the answer so far. Needs no draft model."""

    method: Literal["ngram", "ngram_gpu"]
    """`ngram_gpu` looks up on the device (CUDA only)."""
    prompt_lookup_min: Annotated[int, Field(ge=1)] = 2
    """Shortest n-gram that may match, in tokens (vLLM's own default is 5: rarely what you mean)."""
    prompt_lookup_max: Annotated[int, Field(ge=1)] = 4
    """Longest n-gram that is tried, in tokens."""

    @model_validator(mode="after")
    def _window_is_ordered(self) -> NgramSpeculation:
        if self.prompt_lookup_min > self.prompt_lookup_max:
            raise ValueError(
                f"prompt_lookup_min ({self.prompt_lookup_min}) must not exceed "
                f"prompt_lookup_max ({self.prompt_lookup_max})"
            )
        return self


class SuffixSpeculation(Speculating):
    """Draft from a suffix tree of the prompt and of past answers (needs arctic-inference)."""

    method: Literal["suffix"]
    num_speculative_tokens: DraftTokens = 24
    """Most drafted tokens per step; how many it really drafts depends on the match."""
    suffix_decoding_max_tree_depth: Annotated[int, Field(ge=1)] = 24
    """Longest match plus draft, in tokens."""
    suffix_decoding_max_cached_requests: Annotated[int, Field(ge=0)] = 10000
    """Past answers that are remembered across requests; 0 looks at the own prompt and answer only."""
    suffix_decoding_max_spec_factor: Annotated[float, Field(ge=0)] = 1.0
    """Drafted tokens per matched token, at most."""
    suffix_decoding_min_token_prob: Share = 0.1
    """Least estimated probability of a drafted token."""


class ModelDraft(Speculating):
    """What every method with weights of its own has in common."""

    model: Annotated[str, Field(min_length=1)]
    """The draft or head: a packaged model, a local directory, or a hub id `org/name[@revision]`."""
    draft_sample_method: Literal["greedy", "probabilistic"] | None = None
    """Greedy (vLLM's default) takes the draft's likeliest token; probabilistic samples and costs memory."""
    draft_tensor_parallel_size: Annotated[int, Field(ge=1)] | None = None
    """Devices for the draft: 1 or the target's number."""
    quantization: Annotated[str, Field(min_length=1)] | None = None
    """Quantisation of the draft's weights, by vLLM's name."""
    max_model_len: Annotated[int, Field(ge=16)] | None = None
    """Longest sequence the draft is asked to go on with, in tokens."""
    attention_backend: Annotated[str, Field(min_length=1)] | None = None
    """Attention backend of the draft, by vLLM's name."""
    kv_cache_dtype: Annotated[str, Field(min_length=1)] | None = None
    """Type of the draft's own KV cache, by vLLM's name; the target's by default."""
    moe_backend: Annotated[str, Field(min_length=1)] | None = None
    """Kernels of a draft with experts, by vLLM's name; the target's by default."""
    enforce_eager: bool | None = None
    """Skip compilation of the draft; as the target by default."""
    unchecked: bool = False
    """Serve a draft that `kilotoken draft check` failed all the same."""


class DraftModelSpeculation(ModelDraft):
    """Draft with a small model, one token after another, or all at once where it was trained for that."""

    method: Literal["draft_model"]
    parallel_drafting: bool | None = None
    """All k tokens in one pass (PARD): the draft's config.json must name its `pard_token`."""
    use_heterogeneous_vocab: bool | None = None
    """Let the draft have another tokenizer: only tokens that both know can be drafted. Greedy drafts only."""


class EagleSpeculation(ModelDraft):
    """Draft with a head that reads the target's hidden states (EAGLE, EAGLE-3)."""

    method: Literal["eagle", "eagle3"]
    parallel_drafting: bool | None = None
    """All k tokens in one pass (P-EAGLE): the head must have been trained for it."""
    disable_padded_drafter_batch: bool | None = None
    """Draft without padding sequences to one length (some attention backends only)."""
    disable_eagle_block_drop: bool | None = None
    """Keep the last prefix-cache block, which vLLM otherwise drops for these methods."""
    use_local_argmax_reduction: bool | None = None
    """With tensor parallelism: compare the largest logits instead of gathering all of them."""


class MtpSpeculation(ModelDraft):
    """Draft with the multi-token-prediction layers that some targets bring along."""

    method: Literal["mtp"]
    model: Annotated[str, Field(min_length=1)] | None = None  # type: ignore[assignment]
    """Where the layers are, if not in the target's own checkpoint."""
    index_share_for_mtp_iteration: bool | None = None
    """Let later steps reuse the first one's sparse indices; as the checkpoint says by default."""


class MedusaSpeculation(ModelDraft):
    """Draft with Medusa heads: one head per position, all from the same hidden state."""

    method: Literal["medusa"]


class BlockDraftSpeculation(ModelDraft):
    """Draft a whole block in one pass (DFlash; DSpark on CUDA only)."""

    method: Literal["dflash", "dspark"]
    enable_adaptive_verification: bool | None = None
    """DSpark: size the verification by the draft's own confidence (CUDA)."""
    dspark_draft_topk: Annotated[int, Field(ge=1)] | None = None
    """DSpark: candidates per position."""


class CustomClassSpeculation(Speculating):
    """Draft with a Python class of your own."""

    method: Literal["custom_class"]
    model: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
    """Dotted path of the class, `module.Class`. On CPU it must define `load_model`."""
    python_path: Annotated[str, Field(min_length=1)] | None = None
    """Directory that holds the module; it is put on the server's PYTHONPATH."""


#: Methods that vLLM's configuration knows and no server can be measured with: why, and the way out.
WITHOUT_RUNNER = {
    "mlp_speculator": "vLLM 0.32 knows the name and has neither a model class nor a runner for it. "
    "Take an eagle3 head or a draft_model.",
    "extract_hidden_states": "it hands hidden states to a trainer and drafts nothing that could be accepted: "
    "there is no speed to measure. Take `off`.",
}
#: Older names of `mtp`, one per model family.
MTP_NAMES = (
    "deepseek_mtp", "dots3_note_mtp", "mimo_mtp", "mimo_v2_mtp", "glm4_moe_mtp", "glm4_moe_lite_mtp",
    "glm_ocr_mtp", "ernie_mtp", "nemotron_h_mtp", "exaone_moe_mtp", "exaone4_5_mtp", "qwen3_next_mtp",
    "qwen4_exp_mtp", "qwen3_5_mtp", "longcat_flash_mtp", "bailing_hybrid_v3_mtp", "minimax_m3_mtp",
    "bailing_hybrid_mtp", "kimi_k3_mtp", "pangu_ultra_moe_mtp", "step3p5_mtp", "hy_v3_mtp", "hy_v4_mtp",
    "gemma4_mtp", "inkling_mtp", "glm5_next_mtp",
)  # fmt: skip


def refuse_unusable_method(section: Any) -> Any:
    """Explain a method that vLLM knows and that cannot be used; pass everything else on.

    Raises:
        ValueError: with the reason and the way out.
    """
    method = section.get("method") if isinstance(section, dict) else None
    if method in WITHOUT_RUNNER:
        _refuse(f"method {method!r}: {WITHOUT_RUNNER[method]}")
    if method in MTP_NAMES:
        _refuse(f"method {method!r} is an older name: write `method: mtp`")
    return section


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


SpeculationSection = Annotated[
    NoSpeculation
    | NgramSpeculation
    | SuffixSpeculation
    | DraftModelSpeculation
    | EagleSpeculation
    | MtpSpeculation
    | MedusaSpeculation
    | BlockDraftSpeculation
    | CustomClassSpeculation,
    Field(discriminator="method"),
    BeforeValidator(refuse_unusable_method),
]

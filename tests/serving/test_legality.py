"""One example per rule: refused with a reason and a way out; and the same example mended is not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from accounting.errors import ConfigError
from serving.config import ServerConfig
from serving.legality import Circumstances, cautions, refusals, refuse_illegal
from serving.models.checkpoint_facts import CheckpointFacts
from serving.models.draft_verdict import DraftVerdict

WORDS = {f"word{i}": i for i in range(2000)}
TARGET = CheckpointFacts(
    "target",
    {
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": 2000,
        "hidden_size": 64,
        "num_hidden_layers": 12,
        "num_attention_heads": 9,
        "max_position_embeddings": 4096,
    },
    tokens=WORDS,
)
DRAFT = CheckpointFacts("draft", {"architectures": ["LlamaForCausalLM"], "vocab_size": 2000}, tokens=WORDS)
HEAD = CheckpointFacts(
    "head",
    {
        "architectures": ["LlamaForCausalLMEagle3"],
        "vocab_size": 2000,
        "draft_vocab_size": 500,
        "hidden_size": 64,
        "eagle_config": {"eagle_aux_hidden_state_layer_ids": [2, 6, 9]},
    },
    shapes={
        "d2t": (500,),
        "lm_head.weight": (500, 64),
        "fc.weight": (64, 3 * 64),
        "norm.weight": (64,),
        **{f"midlayer.self_attn.{part}_proj.weight": (64, 128) for part in "qkvo"},
        **{f"midlayer.mlp.{part}_proj.weight": (128, 64) for part in ("gate", "up", "down")},
        **{
            f"midlayer.{part}.weight": (64,)
            for part in ("input_layernorm", "hidden_norm", "post_attention_layernorm")
        },
    },
)
FAILED = replace(
    DRAFT,
    verdicts={
        "this target": DraftVerdict(
            ("the tensor model.norm.weight is missing", "another"), "2026-11-27T10:00"
        )
    },
)
PARALLEL = {**HEAD.shapes, "mask_hidden": (64,)}


def without(*names: str) -> dict[str, tuple[int, ...]]:
    """The head's tensors without some."""
    return {name: shape for name, shape in HEAD.shapes.items() if name not in names}


def changed(
    facts: CheckpointFacts, *, shapes: Any = None, tokens: Any = None, **config: Any
) -> CheckpointFacts:
    return CheckpointFacts(
        facts.name,
        {**facts.config, **config},
        facts.shapes if shapes is None else shapes,
        facts.tokens if tokens is None else tokens,
    )


def spec(method: str, k: int = 4, **more: Any) -> dict[str, Any]:
    return {"speculation": {"method": method, "num_speculative_tokens": k, **more}}


def on(
    device: str, *, draft: CheckpointFacts | None = None, target: CheckpointFacts | None = TARGET, **more: Any
) -> Circumstances:
    return Circumstances(device=device, target=target, draft=draft, **more)


SCHEDULE = {"num_speculative_tokens_per_batch_size": [[1, 4, 4], [5, 64, 0]]}
DRAFTING = spec("draft_model", model="draft")
EAGLE3 = spec("eagle3", model="head")
SHIFTED = {f"word{i}": (i + 1) % 2000 for i in range(2000)}
FOREIGN = {f"other{i}": i for i in range(2000)}

#: rule -> (configuration, circumstances)
REFUSED: dict[str, tuple[dict[str, Any], Circumstances]] = {
    "schedule-and-method": (spec("suffix", **SCHEDULE), on("cpu")),
    "schedule-and-method (custom_class)": (spec("custom_class", model="a.B", **SCHEDULE), on("cpu")),
    "schedule-and-method (medusa)": (spec("medusa", model="head", **SCHEDULE), on("cpu")),
    "schedule-and-data-parallel": (
        spec("ngram", **SCHEDULE) | {"parallelism": {"data_parallel_size": 2}},
        on("cuda", devices=2),
    ),
    "schedule-and-draft-model-on-cuda": (
        spec("draft_model", model="draft", **SCHEDULE),
        on("cuda", draft=DRAFT),
    ),
    "synthetic-on-cpu": (
        spec("ngram", rejection_sample_method="synthetic", synthetic_acceptance_length=2.0),
        on("cpu"),
    ),
    "block-on-cpu": (spec("ngram", rejection_sample_method="block"), on("cpu")),
    "block-and-method": (spec("suffix", rejection_sample_method="block"), on("cuda")),
    "block-and-method (parallel)": (
        spec("eagle3", model="head", rejection_sample_method="block", parallel_drafting=True),
        on("cuda", draft=changed(HEAD, shapes=PARALLEL, pard_token=7)),
    ),
    "ngram-gpu-on-cpu": (spec("ngram_gpu"), on("cpu")),
    "dspark-on-cpu": (spec("dspark", model="head"), on("cpu")),
    "dspark-settings": (spec("dflash", model="head", dspark_draft_topk=4), on("cuda")),
    "suffix-package": (spec("suffix"), on("cpu", has_package=lambda _name: False)),
    "heterogeneous-and-probabilistic": (
        spec("draft_model", model="d", use_heterogeneous_vocab=True, draft_sample_method="probabilistic"),
        on("cpu"),
    ),
    "heterogeneous-and-parallel": (
        spec("draft_model", model="d", use_heterogeneous_vocab=True, parallel_drafting=True),
        on("cpu"),
    ),
    "draft-tensor-parallel": (spec("draft_model", model="d", draft_tensor_parallel_size=2), on("cuda")),
    "draft-kv-dtype-on-cpu": (spec("draft_model", model="d", kv_cache_dtype="fp8"), on("cpu")),
    "no-slots-to-draft": (
        spec("dflash", 16, model="head") | {"batching": {"max_num_batched_tokens": 16}},
        on("cuda"),
    ),
    "budget-below-requests": ({"batching": {"max_num_batched_tokens": 8, "max_num_seqs": 16}}, on("cpu")),
    "whole-prompts-and-budget": (
        {
            "batching": {"max_num_batched_tokens": 512, "enable_chunked_prefill": False},
            "model": {"max_model_len": 1024},
        },
        on("cpu"),
    ),
    "cpu-offload-gb-on-cpu": ({"kv_cache": {"cpu_offload_gb": 2.0}}, on("cpu")),
    "kv-offloading-size-on-cpu": ({"kv_cache": {"kv_offloading_size": 2.0}}, on("cpu")),
    "offloading-connector-on-cpu": (
        {"kv_cache": {"kv_transfer_config": {"kv_connector": "OffloadingConnector"}}},
        on("cpu"),
    ),
    "block-size-on-cpu": ({"kv_cache": {"block_size": 16}}, on("cpu")),
    "fp8-on-cpu": ({"model": {"quantization": "fp8"}}, on("cpu")),
    "fp8-on-cpu (draft)": (spec("draft_model", model="d", quantization="fp8"), on("cpu")),
    "int8-without-experts": ({"model": {"quantization": "int8_per_channel_weight_only"}}, on("cpu")),
    "too-few-numa-nodes": ({"parallelism": {"tensor_parallel_size": 3}}, on("cpu")),
    "draft-attention-on-cpu": (spec("draft_model", model="d", attention_backend="FLASH_ATTN"), on("cpu")),
    "kv-dtype-on-cpu": ({"kv_cache": {"dtype": "nvfp4"}}, on("cpu")),
    "fp8-kv-and-head-size": (
        {"kv_cache": {"dtype": "fp8"}},
        on("cpu", target=changed(TARGET, hidden_size=288, num_attention_heads=6)),
    ),
    "fp8-kv-without-avx512": (
        {"kv_cache": {"dtype": "fp8"}},
        on("cpu", target=changed(TARGET, head_dim=64), instructions=frozenset({"avx2", "fma"})),
    ),
    "too-few-devices": ({"parallelism": {"pipeline_parallel_size": 4}}, on("cuda", devices=2)),
    "async-and-method": (spec("ngram") | {"batching": {"async_scheduling": True}}, on("cuda")),
    "heads-and-tensor-parallel": ({"parallelism": {"tensor_parallel_size": 2}}, on("cpu", numa_nodes=2)),
    "max-model-len": ({"model": {"max_model_len": 8192}}, on("cpu")),
    "head-as-draft-model": (DRAFTING, on("cpu", draft=HEAD)),
    "vocabulary-size": (DRAFTING, on("cpu", draft=changed(DRAFT, vocab_size=2001))),
    "vocabulary-size (nothing in common)": (
        DRAFTING,
        on("cpu", draft=changed(DRAFT, vocab_size=2001, tokens=FOREIGN)),
    ),
    "tokenizer-differs": (DRAFTING, on("cpu", draft=changed(DRAFT, tokens=SHIFTED))),
    "nothing-in-common": (
        spec("draft_model", model="d", use_heterogeneous_vocab=True),
        on("cpu", draft=changed(DRAFT, tokens=FOREIGN)),
    ),
    "parallel-draft-without-mark": (
        spec("draft_model", model="d", parallel_drafting=True),
        on("cpu", draft=DRAFT),
    ),
    "draft-failed-its-check": (
        DRAFTING,
        on("cpu", draft=FAILED, target=replace(TARGET, mark="this target")),
    ),
    "model-as-head": (EAGLE3, on("cpu", draft=changed(DRAFT, hidden_size=64))),
    "eagle3-head-elsewhere": (spec("eagle", model="head"), on("cpu", draft=HEAD)),
    "hidden-size": (EAGLE3, on("cpu", draft=changed(HEAD, hidden_size=128))),
    "head-vocabulary": (EAGLE3, on("cpu", draft=changed(HEAD, vocab_size=3000))),
    "no-token-table": (EAGLE3, on("cpu", draft=changed(HEAD, shapes=without("d2t")))),
    "head-tensors": (
        EAGLE3,
        on("cpu", draft=changed(HEAD, shapes=without("norm.weight", "midlayer.self_attn.q_proj.weight"))),
    ),
    "head-tensors (lm_head)": (EAGLE3, on("cpu", draft=changed(HEAD, shapes=without("lm_head.weight")))),
    "head-embedding": (EAGLE3, on("cpu", draft=changed(HEAD, hidden_size=32, target_hidden_size=64))),
    "layer-ids": (EAGLE3, on("cpu", draft=changed(HEAD, eagle_aux_hidden_state_layer_ids=[2, 6, 13]))),
    "layer-ids (twice)": (EAGLE3, on("cpu", draft=changed(HEAD, eagle_aux_hidden_state_layer_ids=[2, 2, 9]))),
    "layer-ids (as many as joined)": (
        EAGLE3,
        on("cpu", draft=changed(HEAD, eagle_aux_hidden_state_layer_ids=[2, 9])),
    ),
    "layer-ids (defaults of a shallow target)": (
        EAGLE3,
        on("cpu", draft=changed(HEAD, eagle_config={}), target=changed(TARGET, num_hidden_layers=6)),
    ),
    "no-inner-layers": (
        EAGLE3,
        on("cpu", draft=HEAD, target=changed(TARGET, architectures=["GPT2LMHeadModel"])),
    ),
    "norm-before-residual": (EAGLE3, on("cpu", draft=changed(HEAD, speculators_model_type="eagle3"))),
    "parallel-head-without-mask": (
        spec("eagle3", model="head", parallel_drafting=True),
        on("cpu", draft=changed(HEAD, pard_token=7)),
    ),
    "parallel-head-without-mask (token)": (
        spec("eagle3", model="head", parallel_drafting=True),
        on("cpu", draft=changed(HEAD, shapes=PARALLEL)),
    ),
    "no-mtp-layers": (spec("mtp", 1), on("cpu")),
    "mtp-divisibility": (spec("mtp", 3), on("cpu", target=changed(TARGET, num_nextn_predict_layers=2))),
}

ALLOWED: list[tuple[dict[str, Any], Circumstances]] = [
    ({}, on("cpu")),
    (spec("ngram", **SCHEDULE), on("cpu")),
    (spec("draft_model", model="d", **SCHEDULE), on("cpu", draft=DRAFT)),
    (
        spec("draft_model", model="d", **SCHEDULE)
        | {"engine": {"environment": {"VLLM_USE_V2_MODEL_RUNNER": "0"}}},
        on("cuda", draft=DRAFT),
    ),
    (spec("suffix"), on("cpu")),
    (spec("custom_class", model="a.B"), on("cpu")),
    (spec("ngram", rejection_sample_method="block"), on("cuda")),
    (EAGLE3, on("cpu", draft=HEAD)),
    (
        EAGLE3,
        on(
            "cpu",
            draft=changed(
                HEAD,
                hidden_size=32,
                target_hidden_size=64,
                shapes={**HEAD.shapes, "embed_tokens.weight": (2000, 32)},
            ),
        ),
    ),
    (EAGLE3, on("cpu", draft=changed(HEAD, architectures=["LlamaForCausalLM"]))),
    (EAGLE3, on("cpu", draft=changed(HEAD, eagle_config={}))),
    (
        spec("eagle3", model="head", parallel_drafting=True),
        on("cpu", draft=changed(HEAD, shapes=PARALLEL, pard_token=7)),
    ),
    (
        spec("draft_model", model="d", parallel_drafting=True),
        on("cpu", draft=changed(DRAFT, dflash_config={"mask_token_id": 3})),
    ),
    ({"kv_cache": {"kv_transfer_config": {"kv_connector": "ExampleConnector"}, "block_size": 64}}, on("cpu")),
    ({"kv_cache": {"block_size": 16}}, on("cuda")),
    (
        {"model": {"quantization": "int8_per_channel_weight_only"}},
        on("cpu", target=changed(TARGET, num_experts=8)),
    ),
    (
        {
            "parallelism": {"tensor_parallel_size": 3},
            "engine": {"environment": {"VLLM_CPU_OMP_THREADS_BIND": "0|1|2"}},
        },
        on("cpu"),
    ),
    (EAGLE3, on("cpu", draft=changed(HEAD, speculators_model_type="eagle3", norm_before_residual=False))),
    (EAGLE3, on("cpu")),
    (
        spec("draft_model", model="d", use_heterogeneous_vocab=True),
        on("cpu", draft=changed(DRAFT, vocab_size=9)),
    ),
    (DRAFTING, on("cpu", draft=changed(DRAFT, tokens={**WORDS, "word7": 8}))),
    (
        spec("draft_model", model="draft", unchecked=True),
        on("cpu", draft=FAILED, target=replace(TARGET, mark="this target")),
    ),
    (DRAFTING, on("cpu", draft=FAILED, target=replace(TARGET, mark="another"))),
    (spec("mtp", 4), on("cpu", target=changed(TARGET, num_nextn_predict_layers=2))),
    ({"kv_cache": {"dtype": "fp8"}}, on("cpu", target=changed(TARGET, head_dim=64))),
    (
        {"kv_cache": {"dtype": "fp8"}},
        on("cpu", target=changed(TARGET, head_dim=64), instructions=frozenset({"avx2", "avx512f"})),
    ),
    (
        {"kv_cache": {"cpu_offload_gb": 2.0}, "parallelism": {"tensor_parallel_size": 3}},
        on("cuda", devices=3),
    ),
    ({"parallelism": {"tensor_parallel_size": 9, "distributed_executor_backend": "ray"}}, on("cuda")),
    (
        {"model": {"max_model_len": 8192}},
        on("cpu", target=changed(TARGET, rope_scaling={"rope_type": "yarn", "factor": 4.0})),
    ),
]


@pytest.mark.parametrize("name", REFUSED)
def test_each_rule_refuses_its_example_and_only_it(name: str) -> None:
    config, circumstances = REFUSED[name]
    found = refusals(ServerConfig.model_validate(config), circumstances)
    assert [refusal.rule for refusal in found] == [name.split(" (")[0]]
    assert found[0].reason.endswith(".")
    assert found[0].way_out.endswith(".")


@pytest.mark.parametrize("number", range(len(ALLOWED)))
def test_what_the_engine_runs_is_not_refused(number: int) -> None:
    config, circumstances = ALLOWED[number]
    assert refusals(ServerConfig.model_validate(config), circumstances) == []


def test_what_is_not_known_is_not_refused() -> None:
    """A hub model that is not here yet has no facts; rules that need them stay silent."""
    for config, circumstances in REFUSED.values():
        bare = Circumstances(circumstances.device, circumstances.devices)
        refusals(ServerConfig.model_validate(config), bare)


@pytest.mark.goldens
def test_the_messages_are_the_golden_ones(golden: Callable[[str, Any], None]) -> None:
    lines = []
    for name, (config, circumstances) in REFUSED.items():
        (found,) = refusals(ServerConfig.model_validate(config), circumstances)
        lines.append(f"{name}\n    {found.sentence}\n")
    golden("serving/golden/refusals.txt", "".join(lines))


def test_several_reasons_are_all_said_and_nothing_was_started() -> None:
    config = ServerConfig.model_validate(
        spec("ngram_gpu", rejection_sample_method="block") | {"kv_cache": {"dtype": "nvfp4"}}
    )
    with pytest.raises(ConfigError) as caught:
        refuse_illegal(config, on("cpu"), origin="x.yaml: arms.a")
    assert caught.value.message.startswith("x.yaml: arms.a: ")
    for words in ("ngram_gpu needs CUDA", "block exists", "nvfp4 is none of the types"):
        assert words in caught.value.message
    assert caught.value.hint == "Nothing was started."


def test_what_runs_and_must_be_known_is_said_and_not_refused() -> None:
    speculating = ServerConfig.model_validate(spec("draft_model", model="d", max_model_len=64))
    said = cautions(speculating, "cpu")
    assert len(said) == 2
    assert "temperature 0 only" in said[0]
    assert "diluted" in said[1]
    assert len(cautions(speculating, "cuda")) == 1
    assert cautions(ServerConfig(), "cpu") == []
    remembering = ServerConfig.model_validate({"speculation": {"method": "suffix"}})
    assert any(
        "remembers answers through every cache reset" in text for text in cautions(remembering, "cuda")
    )
    forgetful = {"speculation": {"method": "suffix", "suffix_decoding_max_cached_requests": 0}}
    assert cautions(ServerConfig.model_validate(forgetful), "cuda") == []

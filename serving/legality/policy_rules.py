"""Which batching, KV-cache and parallelism settings go together, and which need CUDA."""

from __future__ import annotations

from collections.abc import Iterator

from serving.config import ServerConfig
from serving.legality.refusal import Circumstances, Refusal, Rule
from serving.models.checkpoint_facts import CheckpointFacts

#: KV-cache types of vLLM 0.32's CPU attention (v1/attention/backends/cpu_attn.py).
CPU_KV_DTYPES = ("auto", "fp8", "fp8_e4m3", "fp8_e5m2")
#: Of an x86 processor, one of them for 8-bit keys and values (the same file, `_get_attn_isa`).
FP8_KV_INSTRUCTIONS = frozenset(("avx512f", "amx_tile"))
#: Methods whose drafter runs in Python on the host.
HOST_DRAFTERS = ("ngram", "suffix", "medusa", "custom_class")
#: Settings that move data between a device and its host: on CPU they are the same memory.
_NEEDS_A_DEVICE = {
    "cpu_offload_gb": "the weights are in host memory already",
    "kv_offloading_size": "the KV cache is in host memory already",
}


def budget_covers_the_requests(config: ServerConfig, _circumstances: Circumstances) -> Iterator[Refusal]:
    """The token budget of a step must hold one token of each request."""
    budget, requests = config.batching.max_num_batched_tokens, config.batching.max_num_seqs
    if budget is not None and requests is not None and budget < requests:
        yield Refusal(
            "budget-below-requests",
            f"max_num_batched_tokens {budget} is below max_num_seqs {requests}: a step could not hold one "
            "token of each request.",
            f"Raise batching.max_num_batched_tokens to {requests} or more, or lower max_num_seqs.",
        )


def whole_prompts_need_a_budget(config: ServerConfig, _circumstances: Circumstances) -> Iterator[Refusal]:
    """Without chunked prefill the longest prompt must fit into one step."""
    budget, longest = config.batching.max_num_batched_tokens, config.model.max_model_len
    if config.batching.enable_chunked_prefill is not False or budget is None or longest is None:
        return
    if budget < longest:
        yield Refusal(
            "whole-prompts-and-budget",
            f"without chunked prefill a prompt is read in one step, but max_num_batched_tokens {budget} "
            f"is below max_model_len {longest}.",
            f"Raise batching.max_num_batched_tokens to {longest}, or lower model.max_model_len.",
        )


def offloading_needs_a_device(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """Offload and connectors are CUDA settings."""
    if circumstances.device != "cpu":
        return
    for name, why in _NEEDS_A_DEVICE.items():
        if getattr(config.kv_cache, name) is not None:
            yield Refusal(
                f"{name.replace('_', '-')}-on-cpu",
                f"kv_cache.{name} needs a CUDA device: on CPU {why}.",
                f"Remove kv_cache.{name}.",
            )


def connectors_need_a_device(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """The offloading connectors end a CPU engine at its start; one that writes to disk runs."""
    connector = str((config.kv_cache.kv_transfer_config or {}).get("kv_connector", ""))
    if circumstances.device == "cpu" and "Offload" in connector:
        yield Refusal(
            "offloading-connector-on-cpu",
            f"the KV connector {connector} copies between a device and its host: a CPU has only the host.",
            "Remove kv_cache.kv_transfer_config.",
        )


def blocks_fit_the_kernel(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """CPU attention reads blocks in multiples of 32 tokens (v1/attention/backends/cpu_attn.py)."""
    size = config.kv_cache.block_size
    if circumstances.device == "cpu" and size is not None and size % 32:
        yield Refusal(
            "block-size-on-cpu",
            f"block_size {size} is no multiple of 32, which vLLM 0.32's CPU attention needs.",
            "Take 32, 64 or 128.",
        )


def quantising_needs_a_kernel(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """Quantising while loading: fp8 has no CPU kernel, and int8 reaches the experts of a mixture only."""
    method, target = config.model.quantization, circumstances.target
    drafts = getattr(config.speculation, "quantization", None)
    for where, name in (("model.quantization", method), ("speculation.quantization", drafts)):
        if circumstances.device == "cpu" and name and name.startswith("fp8"):
            yield Refusal(
                "fp8-on-cpu",
                f"{where} {name} has no kernel in vLLM 0.32's CPU build.",
                "Make a copy that has one: `kilotoken models quantize NAME --scheme int8`.",
            )
    if method == "int8_per_channel_weight_only" and target is not None and not _has_experts(target):
        yield Refusal(
            "int8-without-experts",
            "quantization int8_per_channel_weight_only reaches the experts of a mixture only; this model has none, "
            "and vLLM would serve it as it is without a word.",
            "Make a copy: `kilotoken models quantize NAME --scheme int8`.",
        )


def _has_experts(target: CheckpointFacts) -> bool:
    return any(target.integer(key) for key in ("num_experts", "num_local_experts", "n_routed_experts"))


def kv_dtype_needs_a_kernel(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """CPU attention keeps the model's type or 8-bit floats."""
    dtype = config.kv_cache.dtype
    if circumstances.device == "cpu" and dtype not in CPU_KV_DTYPES:
        yield Refusal(
            "kv-dtype-on-cpu",
            f"kv_cache.dtype {dtype} is none of the types of vLLM 0.32's CPU attention: it would fail or be ignored.",
            f"Allowed on CPU: {', '.join(CPU_KV_DTYPES)}.",
        )
    known = circumstances.instructions
    if (
        circumstances.device == "cpu"
        and dtype.startswith("fp8")
        and known
        and not known & FP8_KV_INSTRUCTIONS
    ):
        yield Refusal(
            "fp8-kv-without-avx512",
            "an 8-bit KV cache on an x86 CPU needs AVX-512 or AMX, and this processor has neither.",
            "Remove kv_cache.dtype.",
        )
    size = circumstances.target.head_size if circumstances.target else None
    if circumstances.device == "cpu" and dtype.startswith("fp8") and size is not None and size % 32:
        yield Refusal(
            "fp8-kv-and-head-size",
            f"an 8-bit KV cache on CPU needs attention heads whose size is a multiple of 32; this model's have {size}.",
            "Remove kv_cache.dtype.",
        )


def copies_need_devices(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """A CUDA server needs a device for each rank."""
    parallel = config.parallelism
    sizes = (
        parallel.tensor_parallel_size or 1,
        parallel.pipeline_parallel_size or 1,
        parallel.data_parallel_size or 1,
    )
    needed = sizes[0] * sizes[1] * sizes[2]
    several_boxes = parallel.distributed_executor_backend in ("ray", "external_launcher")
    if circumstances.device == "cuda" and needed > circumstances.devices and not several_boxes:
        yield Refusal(
            "too-few-devices",
            f"tensor x pipeline x data parallel = {' x '.join(map(str, sizes))} = {needed} devices; this "
            f"machine has {circumstances.devices}.",
            "Lower the sizes, or spread over machines with distributed_executor_backend: ray.",
        )


def cpu_ranks_need_numa_nodes(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """On CPU each rank binds to a NUMA node of its own unless the threads are bound by hand."""
    parallel = config.parallelism
    ranks = (parallel.tensor_parallel_size or 1) * (parallel.pipeline_parallel_size or 1)
    by_hand = "VLLM_CPU_OMP_THREADS_BIND" in config.engine.environment
    if circumstances.device == "cpu" and ranks > circumstances.numa_nodes and not by_hand:
        yield Refusal(
            "too-few-numa-nodes",
            f"tensor x pipeline parallel = {ranks} ranks need a NUMA node each on CPU; this machine has "
            f"{circumstances.numa_nodes}.",
            "Set both to 1, or bind threads by hand with engine.environment: {VLLM_CPU_OMP_THREADS_BIND: ...}.",
        )


def async_steps_need_a_method_that_waits_for_nothing(
    config: ServerConfig, _circumstances: Circumstances
) -> Iterator[Refusal]:
    """Drafters that read the accepted tokens on the host cannot run a step ahead (config/vllm.py)."""
    method = config.speculation.method
    if config.batching.async_scheduling and method in HOST_DRAFTERS:
        yield Refusal(
            "async-and-method",
            f"{method} drafts on the host from the tokens just accepted: vLLM refuses it with async_scheduling.",
            "Remove batching.async_scheduling.",
        )


def heads_divide_by_devices(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """Tensor parallelism deals attention heads out evenly."""
    size = config.parallelism.tensor_parallel_size or 1
    heads = circumstances.target.integer("num_attention_heads") if circumstances.target else None
    if heads is not None and heads % size:
        yield Refusal(
            "heads-and-tensor-parallel",
            f"the target's {heads} attention heads cannot be dealt out to tensor_parallel_size {size} devices.",
            f"Allowed here: {', '.join(str(n) for n in range(1, heads + 1) if heads % n == 0)}.",
        )


def length_is_within_the_model(config: ServerConfig, circumstances: Circumstances) -> Iterator[Refusal]:
    """Positions beyond those the model was made for do not exist."""
    longest, target = config.model.max_model_len, circumstances.target
    made_for = target.integer("max_position_embeddings") if target else None
    if longest is not None and made_for is not None and longest > made_for and not _scaled(target):
        yield Refusal(
            "max-model-len",
            f"max_model_len {longest} exceeds the {made_for} positions that the model was made for.",
            f"Lower model.max_model_len to {made_for} or less.",
        )


def _scaled(target: CheckpointFacts | None) -> bool:
    """Whether the checkpoint stretches its positions: then the engine knows the limit better."""
    scaling = target and (target.value("rope_scaling") or target.value("rope_parameters"))
    kind = scaling.get("rope_type", scaling.get("type")) if isinstance(scaling, dict) else None
    return kind not in (None, "default")


POLICY_RULES: tuple[Rule, ...] = (
    budget_covers_the_requests,
    whole_prompts_need_a_budget,
    offloading_needs_a_device,
    connectors_need_a_device,
    blocks_fit_the_kernel,
    quantising_needs_a_kernel,
    kv_dtype_needs_a_kernel,
    copies_need_devices,
    cpu_ranks_need_numa_nodes,
    async_steps_need_a_method_that_waits_for_nothing,
    heads_divide_by_devices,
    length_is_within_the_model,
)

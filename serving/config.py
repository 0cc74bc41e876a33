"""What a server is told: strict, frozen sections whose fields carry vLLM's own names.

Unknown keys fail: a misspelled `num_speculative_tokens` that is silently dropped would compare a
configuration with itself. Units are in the descriptions. Everything that vLLM resolves by itself is left
None here and read back after the start (`resolved.py`); what was declared and resolved otherwise is a warning
(`declared.py`). Which flag a field becomes stands in `vllm_names.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from serving.section import Section, as_tuple
from serving.speculation import NoSpeculation, SpeculationSection

DEFAULT_MODEL = "smollm2-135m-instruct"
Count = Annotated[int, Field(ge=1)]


class ModelSection(Section):
    """Which model is served and how it is loaded."""

    name: Annotated[str, Field(min_length=1)] = DEFAULT_MODEL
    """A packaged model or a quantised copy (`kilotoken models` lists them), a local directory, or a hub id `org/name[@revision]`, fetched before the start."""
    served_model_name: Annotated[str, Field(min_length=1)] | None = None
    """Name under which requests address it; the packaged name or directory name by default."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Weight and activation type."""
    quantization: Annotated[str, Field(min_length=1)] | None = None
    """Quantise while loading, or name the checkpoint's method (vLLM's names); a quantised checkpoint needs nothing here."""
    max_model_len: Annotated[int, Field(ge=16)] | None = None
    """Longest prompt plus answer, in tokens."""
    generation_config: Annotated[str, Field(min_length=1)] = "vllm"
    """`vllm` keeps a hub model's own penalties and temperature out of a measurement; `auto` lets them in."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Off unless asked for."""


class BatchingSection(Section):
    """How requests share a step."""

    max_num_seqs: Count | None = None
    """Most requests in one step."""
    max_num_batched_tokens: Count | None = None
    """Most tokens in one step, prefill and decode together: a small budget protects TPOT, a large one TTFT."""
    enable_chunked_prefill: bool | None = None
    """Let a long prompt be read in pieces between decode steps; vLLM's default is on."""
    long_prefill_token_threshold: Annotated[int, Field(ge=0)] | None = None
    """Prompts longer than this count as long, in tokens; 0 knows no long ones."""
    scheduling_policy: Literal["fcfs", "priority"] | None = None
    """First come first served, or by the requests' own priority."""
    async_scheduling: bool | None = None
    """Prepare the next step while this one runs (CUDA; vLLM turns it off on CPU and for some methods)."""


class KvCacheSection(Section):
    """What is kept of past tokens."""

    enable_prefix_caching: bool | None = None
    """Reuse the KV blocks of a prompt's known beginning; vLLM's default is on."""
    block_size: Literal[8, 16, 32, 64, 128, 256] | None = None
    """Tokens per KV block (128 on CPU by default: shorter prompts never hit the prefix cache)."""
    dtype: Annotated[str, Field(min_length=1)] = "auto"
    """Type of what is kept, by vLLM's name (`auto`, `fp8`, ...): fewer bytes, other numbers."""
    kv_cache_memory_bytes: Annotated[int, Field(ge=1 << 20)] | None = None
    """Memory for the KV cache, in bytes. On CPU 1 GiB is used when neither this nor a share is given."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the device's memory for weights and KV cache together (on CPU: of the machine's)."""
    cpu_offload_gb: Annotated[float, Field(ge=0)] | None = None
    """Weights kept in host memory, GiB per device: room for the KV cache, at the price of copying (CUDA)."""
    kv_offloading_size: Annotated[float, Field(gt=0)] | None = None
    """Host memory for KV blocks that leave the device, GiB (CUDA)."""
    kv_transfer_config: dict[str, Any] | None = None
    """A KV connector as vLLM takes it: {kv_connector: ..., kv_role: ...} (CUDA)."""

    @model_validator(mode="after")
    def _one_size(self) -> KvCacheSection:
        if self.kv_cache_memory_bytes is not None and self.gpu_memory_utilization is not None:
            raise ValueError(
                "give kv_cache_memory_bytes or gpu_memory_utilization, not both: vLLM would ignore the share"
            )
        return self


class ParallelismSection(Section):
    """How one server spreads over devices."""

    tensor_parallel_size: Count | None = None
    """Devices that share every layer."""
    pipeline_parallel_size: Count | None = None
    """Groups of devices that hold the layers in turn."""
    data_parallel_size: Count | None = None
    """Whole copies of the model behind one address."""
    distributed_executor_backend: Literal["mp", "ray", "uni", "external_launcher"] | None = None
    """How workers are started."""
    enable_expert_parallel: bool | None = None
    """Spread experts instead of cutting each (mixture-of-experts models)."""


class EngineSection(Section):
    """How the engine runs."""

    device: Literal["auto", "cpu", "cuda", "fake"] = "auto"
    """Which engine build is expected; `auto` takes the installed one, `fake` rehearses without any."""
    enforce_eager: bool | None = None
    """Skip compilation: ready sooner, slower steps (on two CPU cores 53 instead of 70 tokens/s)."""
    startup_deadline_s: Annotated[float, Field(gt=0)] = 600.0
    """Seconds until a server that is not healthy counts as failed."""
    preload: bool = True
    """On CPU, preload libiomp5 and tcmalloc where found (worth 15 % and more)."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Further environment variables for the server."""
    extra_args: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()
    """Further vLLM arguments (LoRA, parsers, ...), passed on as they are and not checked."""


class ServerConfig(Section):
    """One server configuration: an arm of a comparison."""

    model: ModelSection = ModelSection()
    """Model and loading."""
    speculation: SpeculationSection = NoSpeculation()
    """Speculative decoding."""
    batching: BatchingSection = BatchingSection()
    """Batching."""
    kv_cache: KvCacheSection = KvCacheSection()
    """KV cache."""
    parallelism: ParallelismSection = ParallelismSection()
    """Parallelism."""
    engine: EngineSection = EngineSection()
    """Engine."""

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        """Accept `model: NAME` for `model: {name: NAME}`."""
        if isinstance(data, dict) and isinstance(data.get("model"), str):
            return {**data, "model": {"name": data["model"]}}
        return data

"""What a server is told: strict, frozen sections whose fields carry vLLM's own names.

Unknown keys fail: a misspelled `num_speculative_tokens` that is silently dropped would compare a
configuration with itself. Units are in the descriptions. Everything that vLLM resolves by itself is left
None here and read back after the start (`resolved.py`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

DEFAULT_MODEL = "smollm2-135m-instruct"


def as_tuple(value: Any) -> Any:
    """Strict mode wants a tuple where YAML and JSON know lists only."""
    return tuple(value) if isinstance(value, list) else value


class Section(BaseModel):
    """Base of every section: frozen, no unknown keys, no silent type coercion."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ModelSection(Section):
    """Which model is served and how it is loaded."""

    name: Annotated[str, Field(min_length=1)] = DEFAULT_MODEL
    """A packaged model (`smollm2-135m-instruct`, `stories-15m`), a local directory, or a hub id `org/name`."""
    served_model_name: Annotated[str, Field(min_length=1)] | None = None
    """Name under which requests address it; the packaged name or directory name by default."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Weight and activation type."""
    max_model_len: Annotated[int, Field(ge=16)] | None = None
    """Longest prompt plus answer, in tokens."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Off unless asked for."""


class NoSpeculation(Section):
    """No speculation: one token per decode step."""

    method: Literal["off"] = "off"


class NgramSpeculation(Section):
    """Draft by looking the last tokens up in the prompt and the answer so far. Needs no draft model."""

    method: Literal["ngram"]
    num_speculative_tokens: Annotated[int, Field(ge=1, le=64)]
    """k, drafted tokens per step."""
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


class DraftModelSpeculation(Section):
    """Draft with a small model of the same tokenizer."""

    method: Literal["draft_model"]
    model: Annotated[str, Field(min_length=1)]
    """The draft: a packaged model, a local directory, or a hub id."""
    num_speculative_tokens: Annotated[int, Field(ge=1, le=64)]
    """k, drafted tokens per step."""


SpeculationSection = Annotated[
    NoSpeculation | NgramSpeculation | DraftModelSpeculation, Field(discriminator="method")
]


class BatchingSection(Section):
    """How requests share a step."""

    max_num_seqs: Annotated[int, Field(ge=1)] | None = None
    """Most requests in one step."""
    max_num_batched_tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens in one step, prefill and decode together."""


class KvCacheSection(Section):
    """What is kept of past tokens."""

    enable_prefix_caching: bool | None = None
    """Reuse the KV blocks of a prompt's known beginning; vLLM's default is on."""
    block_size: Literal[8, 16, 32, 64, 128] | None = None
    """Tokens per KV block (128 on CPU by default: shorter prompts never hit the prefix cache)."""
    kv_cache_memory_bytes: Annotated[int, Field(ge=1 << 20)] | None = None
    """Memory for the KV cache, in bytes. On CPU 1 GiB is used when nothing is said."""


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
    """Further vLLM arguments, passed on as they are and not checked."""


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
    engine: EngineSection = EngineSection()
    """Engine."""

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        """Accept `model: NAME` for `model: {name: NAME}`."""
        if isinstance(data, dict) and isinstance(data.get("model"), str):
            return {**data, "model": {"name": data["model"]}}
        return data

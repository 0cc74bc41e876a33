"""Whether two servers can be held against each other: one model, one number format, a baseline that does not speculate."""

from __future__ import annotations

from typing import Any

from accounting.errors import ConfigError, ServerError
from workbench.server_under_test import ServerUnderTest

_NUMERICS = {
    "dtype": "model_config.dtype",
    "quantization": "model_config.quantization",
    "kv_cache_dtype": "cache_config.cache_dtype",
}
NOT_SAID = "not known, because the server does not show its configuration"


def check_comparable(baseline: ServerUnderTest, candidate: ServerUnderTest) -> None:
    """See that a difference between the two can come from speculation only, as far as they say.

    Raises:
        ConfigError: if they differ in model or numerics, or the baseline speculates.
        ServerError: if one is no vLLM.
    """
    for server in (baseline, candidate):
        if not server.is_vllm:
            raise ServerError(
                f"{server.base_url} is no vLLM server.",
                hint="Losslessness compares token ids and log-probabilities by id, which vLLM gives.",
            )
    if baseline.model_name != candidate.model_name:
        raise ConfigError(
            f"the baseline serves {baseline.model_name}, the candidate {candidate.model_name}: different models.",
            hint="Answers of different models differ. If it is one model under two names, start both with one "
            "--served-model-name; if a server has several, choose with --model.",
        )
    speculation = speculation_of(baseline)
    if speculation not in ("off", NOT_SAID):
        raise ConfigError(
            f"the baseline speculates ({speculation}).",
            hint="The baseline is the server without speculation; did you swap --baseline and --candidate?",
        )
    ours, theirs = facts_of(baseline), facts_of(candidate)
    different = [
        name for name in _NUMERICS if None not in (ours[name], theirs[name]) and ours[name] != theirs[name]
    ]
    if different:
        listed = ", ".join(f"{name} {ours[name]} and {theirs[name]}" for name in different)
        raise ConfigError(
            f"baseline and candidate differ in their numerics: {listed}.",
            hint="What a change of numerics costs is measured by `kilotoken quality`.",
        )


def facts_of(server: ServerUnderTest) -> dict[str, Any]:
    """The number formats that the server resolved; None where it does not say (vLLM shows them in dev mode only)."""
    said = {name: server.resolved.get(key) for name, key in _NUMERICS.items()}
    return {
        name: None if value is None else str(value).removeprefix("torch.") for name, value in said.items()
    }


def speculation_of(server: ServerUnderTest) -> str:
    """Method and draft length as the server resolved them, `off`, or that it does not say."""
    if not server.resolved:
        return NOT_SAID
    method = server.resolved.get("speculative_config.method")
    tokens = server.resolved.get("speculative_config.num_speculative_tokens")
    return "off" if method is None else f"{method}, {tokens} tokens"

"""Whether two servers can be held against each other: one model, one number format, a baseline that does not speculate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounting.errors import ConfigError, ServerError
from accounting.metric_names import DRAFTS
from serving.scrape import parse_page
from workbench.server_under_test import ServerUnderTest

_NUMERICS = {
    "dtype": "model_config.dtype",
    "quantization": "model_config.quantization",
    "kv_cache_dtype": "cache_config.cache_dtype",
}
NOT_KNOWN = "not known"
NOT_SAID = f"{NOT_KNOWN}, because the server does not show its configuration"


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
    if is_said_to_speculate(speculation):
        raise ConfigError(
            f"the baseline speculates ({speculation}).",
            hint="The baseline is the server without speculation; did you swap --baseline and --candidate?",
        )
    differs = numerics_that_differ(facts_of(baseline), facts_of(candidate))
    if differs:
        raise ConfigError(
            f"baseline and candidate differ in their numerics: {differs}.",
            hint="What a change of numerics costs is measured by `kilotoken quality`.",
        )


def facts_of(server: ServerUnderTest) -> dict[str, Any]:
    """The number formats that the server resolved; None where it does not say (vLLM shows them in dev mode only)."""
    said = {name: server.resolved.get(key) for name, key in _NUMERICS.items()}
    return {
        name: None if value is None else str(value).removeprefix("torch.") for name, value in said.items()
    }


def numerics_that_differ(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Number formats that both servers state (`facts_of`) and state otherwise, in words; empty where there are none."""
    different = [
        name for name in _NUMERICS if None not in (ours[name], theirs[name]) and ours[name] != theirs[name]
    ]
    return ", ".join(f"{name} {ours[name]} and {theirs[name]}" for name in different)


def seen_speculation(server: ServerUnderTest) -> str:
    """As `speculation_of`; of a server that does not show its configuration, whether its metrics count drafts."""
    said = speculation_of(server)
    if said != NOT_SAID:
        return said
    try:
        with server.endpoints() as endpoints:
            counters = parse_page(endpoints.metrics_page()).counters
    except ServerError as error:
        return f"{NOT_KNOWN}, because of its metrics: {error.message}"
    return "on, because its metrics count drafts" if DRAFTS in counters else "off"


def is_said_to_speculate(speculation: str) -> bool:
    """Whether these words of `speculation_of` or `seen_speculation` say so; a server that does not say does not."""
    return speculation != "off" and not speculation.startswith(NOT_KNOWN)


def speculation_of(server: ServerUnderTest) -> str:
    """Method and draft length as the server resolved them, `off`, or that it does not say."""
    if not server.resolved:
        return NOT_SAID
    method = server.resolved.get("speculative_config.method")
    tokens = server.resolved.get("speculative_config.num_speculative_tokens")
    return "off" if method is None else f"{method}, {tokens} tokens"

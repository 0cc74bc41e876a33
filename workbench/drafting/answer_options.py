"""From which answers a draft is to learn, out of the words of a command line: workloads to ask, or a collection there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError
from workbench.collect_temperatures import parse_mix
from workbench.drafting.given_traces import read_collection, workloads_of


def answer_options(
    workloads: Sequence[str],
    traces: Path | None,
    *,
    max_tokens: int | None,
    count: int | None,
    mix: str | None,
) -> dict[str, Any]:
    """Fields of a `MakeRequest`; options that were not given are left to its defaults.

    Raises:
        ConfigError: without workloads and traces, or for options of asking beside traces.
    """
    asking = {"--max-tokens": max_tokens, "--count": count, "--temperature-mix": mix}
    given = [name for name, value in asking.items() if value is not None]
    if traces is not None and given:
        raise ConfigError(
            f"{', '.join(given)}: with --traces nothing is asked; the answers are as they were collected.",
            hint="Leave it out, or leave out --traces.",
        )
    if traces is not None:
        # The workloads of the collection: its measured prompts are those that were not learned from.
        known = workloads_of(read_collection(traces))
        return {"workloads": tuple(workloads) or known, "traces": traces}
    if not workloads:
        raise ConfigError(
            "there is nothing to learn from: neither --workload nor --traces.",
            hint="For example --workload chat --workload copy.",
        )
    fields = {
        "max_tokens": max_tokens, "count": count, "temperatures": parse_mix(mix) if mix is not None else None,
    }  # fmt: skip
    return {"workloads": tuple(workloads)} | {
        name: value for name, value in fields.items() if value is not None
    }

"""What each drafter of a profile would yield on logged traffic, by class: replayed, per decode step, undrafted steps included."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError
from accounting.planning.drafting_yield import DraftingYield
from drafts.replay.counting import replay_ngram, replay_suffix
from drafts.replay.ngram import NgramWindow, Runner
from drafts.replay.suffix import SuffixSettings
from drafts.replay.traces import Trace
from drafts.replay.walk import WalkCounts
from serving.config import ServerConfig
from serving.models.fetch import Report
from serving.speculation import (
    DraftModelSpeculation,
    EagleSpeculation,
    NgramSpeculation,
    Speculating,
    SuffixSpeculation,
)
from workbench.experiment import validated
from workbench.planning.measured_steps import draft_passes
from workbench.replay_draft import DraftModel, replay_draft

Yields = dict[int, dict[str, DraftingYield]]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Logged answers of the target, and the file they come from (a draft's child process reads it itself)."""

    path: Path
    traces: Sequence[Trace]


def replayed_yields(
    traffic: Traffic,
    drafter: str,
    section: Mapping[str, Any],
    ks: Sequence[int],
    *,
    target: str,
    device: str,
    report: Report,
) -> Yields:
    """By k and class.

    Args:
        drafter, section: of the profile.
        target: as the profile names it.
        device: `cpu` or `cuda`: vLLM's n-gram drafter differs between them.

    Raises:
        ConfigError: for a drafter that cannot be replayed.
        ModelError: if a draft cannot be had or read, or failed its check.
    """
    config = validated(
        ServerConfig, {"speculation": {**section, "num_speculative_tokens": max(ks)}}, origin=drafter
    )
    counts = _counts(traffic, config.speculation, ks, target, device, report, drafter)
    labels = [trace.label for trace in traffic.traces]
    return {k: _by_class(counts[k], labels, drafter=drafter, k=k, passes=_passes(config, k)) for k in ks}


def _counts(
    traffic: Traffic, section: Any, ks: Sequence[int], target: str, device: str, report: Report, drafter: str
) -> Mapping[int, Sequence[WalkCounts]]:
    if isinstance(section, NgramSpeculation):
        runner = Runner("v1" if device == "cpu" else "v2")
        window = NgramWindow(section.prompt_lookup_min, section.prompt_lookup_max, runner)
        return replay_ngram(traffic.traces, window, ks)
    if isinstance(section, SuffixSpeculation):
        settings = SuffixSettings(
            max_tree_depth=section.suffix_decoding_max_tree_depth,
            max_cached_requests=section.suffix_decoding_max_cached_requests,
            max_spec_factor=section.suffix_decoding_max_spec_factor,
            min_token_prob=section.suffix_decoding_min_token_prob,
        )
        return {k: replay_suffix(traffic.traces, replace(settings, k=k)) for k in ks}
    if isinstance(section, DraftModelSpeculation | EagleSpeculation) and not section.parallel_drafting:
        draft = DraftModel(section.model, target, unchecked=section.unchecked)
        return replay_draft(traffic.path, traffic.traces, draft, ks, None, report=report)
    raise ConfigError(
        f"{drafter}: what {section.method} would have had accepted cannot be replayed.",
        hint="ngram, suffix, draft_model and eagle3 can. Leave this drafter out with --drafter, or measure it with `kilotoken run`.",
    )


def _passes(config: ServerConfig, k: int) -> float:
    section = config.speculation
    assert isinstance(section, Speculating)
    return draft_passes(
        config.model_copy(update={"speculation": section.model_copy(update={"num_speculative_tokens": k})})
    )


def _by_class(
    counts: Sequence[WalkCounts], labels: Sequence[str], *, drafter: str, k: int, passes: float
) -> dict[str, DraftingYield]:
    by_class: dict[str, list[WalkCounts]] = defaultdict(list)
    for label, counted in zip(labels, counts, strict=True):
        by_class[label].append(counted)
    return {label: _yield(own, drafter, k, passes) for label, own in by_class.items()}


def _yield(counts: Sequence[WalkCounts], drafter: str, k: int, passes: float) -> DraftingYield:
    steps = math.fsum(one.steps for one in counts)
    if not steps:  # answers of one token: nothing is ever drafted
        return DraftingYield(method=drafter, k=k, drafted=0.0, survival=(0.0,) * k, draft_steps=passes)
    found = DraftingYield(
        method=drafter,
        k=k,
        drafted=math.fsum(one.drafted_tokens for one in counts) / steps,
        survival=tuple(math.fsum(one.accepted[i] for one in counts) / steps for i in range(k)),
        draft_steps=passes,
    )
    return found.cut_to(math.fsum(one.output_tokens - 1 for one in counts) / steps)

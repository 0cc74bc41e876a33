"""Logged answers as traffic: which classes, how long, in which shares, and as many requests of it as a simulation needs."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from accounting.errors import ConfigError
from accounting.planning.policy_choice import TrafficMix
from accounting.planning.queue_simulation import Asked
from accounting.planning.steady_rate import RequestShape
from drafts.replay.traces import Trace, read_traces
from serving.models.checkpoint_facts import read_checkpoint_facts
from workbench.models import ResolvedModel

#: Shares of requests by class.
Mix = Mapping[str, float]


def target_traces(path: Path, target: ResolvedModel) -> list[Trace]:
    """Answers of this target.

    Raises:
        ConfigError: if they are another model's, by its name or by tokens that this one does not have.
        MachineError: if the file cannot be read.
    """
    traces = read_traces(path)
    model = traces[0].model
    if model and model != target.name:
        raise ConfigError(
            f"{path} holds answers of {model}, the target is {target.name}: token ids of two models do not mean the same.",
            hint="Collect this target's answers: kilotoken collect --url URL --workload W --out DIR",
        )
    vocabulary = read_checkpoint_facts(Path(target.served_from)).integer("vocab_size")
    largest = max(max(trace.prompt_token_ids + trace.output_token_ids) for trace in traces)
    if vocabulary is not None and largest >= vocabulary:
        raise ConfigError(
            f"{path} holds the token {largest}, and {target.name} has {vocabulary}: another tokenizer made it.",
            hint="Collect this target's answers: kilotoken collect --url URL --workload W --out DIR",
        )
    return traces


def parse_mix(text: str | None, labels: Sequence[str]) -> Mix:
    """`chat=0.6,copy=0.4` as shares of requests; as logged without a text.

    Raises:
        ConfigError: for a class that the traces do not have, or shares that are none.
    """
    logged = Counter(labels)
    if text is None:
        return {label: count / len(labels) for label, count in logged.items()}
    parts = [re.fullmatch(r"\s*([^=,]+?)\s*=\s*(\d+(?:\.\d*)?|\.\d+)\s*", part) for part in text.split(",")]
    shares = {part[1]: float(part[2]) for part in parts if part}
    if not all(parts) or len(shares) != len(parts) or not sum(shares.values()) > 0:
        raise ConfigError(f"--mix {text!r} is no mix.", hint="Write chat=0.6,copy=0.4: shares of requests.")
    unknown = sorted(shares.keys() - logged.keys())
    if unknown:
        raise ConfigError(
            f"--mix: the traces have no class {unknown[0]!r}; there are {', '.join(sorted(logged))}.",
            hint="Collect answers of it too, or leave it out.",
        )
    return {label: share / sum(shares.values()) for label, share in shares.items() if share > 0}


def traffic_mix(traces: Sequence[Trace], mix: Mix) -> TrafficMix:
    """Means over requests in these shares."""
    by_class = {label: [trace for trace in traces if trace.label == label] for label in mix}
    output = {label: fmean(len(t.output_token_ids) for t in own) for label, own in by_class.items()}
    prompt = {label: fmean(len(t.prompt_token_ids) for t in own) for label, own in by_class.items()}
    context = {label: _context(own) for label, own in by_class.items()}
    tokens = {label: share * output[label] for label, share in mix.items()}
    return TrafficMix(
        tokens=tokens,
        shape=RequestShape(
            prefilled=sum(share * prompt[label] for label, share in mix.items()),
            output=sum(tokens.values()),
            context=sum(share * context[label] for label, share in tokens.items()) / sum(tokens.values()),
        ),
    )


def _context(traces: Sequence[Trace]) -> float:
    outputs = np.array([len(trace.output_token_ids) for trace in traces], dtype=np.float64)
    prompts = np.array([len(trace.prompt_token_ids) for trace in traces], dtype=np.float64)
    return float(np.average(prompts + outputs / 2.0, weights=outputs))


@dataclass(frozen=True, slots=True)
class RequestDraw:
    """Draws requests of the logged traffic: a class by its share, then one of its answers."""

    traces: Sequence[Trace]
    mix: Mix

    def requests(self, count: int, *, seed: int) -> list[Asked]:
        """The same ones for the same seed; more requests begin with the same ones."""
        draw = random.Random(seed)
        by_class = {label: [t for t in self.traces if t.label == label] for label in self.mix}
        labels, shares = list(self.mix), list(self.mix.values())
        drawn = []
        for _ in range(count):
            label = draw.choices(labels, shares)[0]
            trace = draw.choice(by_class[label])
            drawn.append(
                Asked(
                    label=label,
                    prefilled=len(trace.prompt_token_ids),
                    cached=0,
                    output=len(trace.output_token_ids),
                )
            )
        return drawn

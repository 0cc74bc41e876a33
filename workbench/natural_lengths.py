"""How long each prompt's answer is by nature: recorded once, greedily, then fixed for every later load.

Output length is a confounder: a configuration that ends answers earlier looks faster. Forcing a fixed length makes
the model babble past its end, which flatters speculation. The natural greedy length L of each prompt, recorded once,
becomes `ignore_eos: true, max_tokens: L`. The pass that records sends the prompts that the load will send, in their
order, with a cache salt of its own; only prompts with a recorded length are then measured, each once: a closed loop
ends its window when the first stream has none left.

Here: the pass itself, and `kilotoken load`. What an experiment records stands in `experiment_lengths.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from accounting.errors import ConfigError, ServerError
from accounting.records import Phase
from loadtest.asking import turn_key
from loadtest.config import ClosedLoop, LoadSpec, Output, Replay, Stages
from loadtest.prompt_order import in_order
from loadtest.request_store import iterate_records
from loadtest.workloads import Prompt, Split, Workload
from loadtest.workloads.prompt import Sampling
from serving.models.cache import cache_root
from workbench.cell import Progress, run_cell
from workbench.plan import RECORDING_STREAMS
from workbench.run_directory import CellDirectory, write_json
from workbench.server_under_test import ServerUnderTest

Say = Callable[[str], None]
# The measured load must not run out of prompts whose length is known: the pass records more than it will send.
SPARE = 1.5


@dataclass(frozen=True, slots=True)
class PassLimits:
    """When a pass ends whose prompts are not all answered: after `least_s` once `enough` are; after `longest_s` anyway."""

    least_s: float
    longest_s: float
    enough: int


def with_natural_lengths(
    spec: LoadSpec, workload: Workload, server: ServerUnderTest, directory: CellDirectory, *, say: Say
) -> LoadSpec:
    """The load with its natural lengths known; as it is where they are not asked for.

    Lengths that are known from an earlier pass over the same prompts, model and cap are used again.

    Raises:
        ConfigError: if the server is no vLLM, or the load samples.
        ServerError: if the pass brings nothing.
    """
    if spec.output.kind != "natural":
        return spec
    _check(spec, server)
    known_path = cache_root() / "lengths" / f"{_identity(spec, workload, server)}.json"
    known = _read(known_path)
    measured = workload.of(Split.MEASURED)
    if not _enough(known, measured, spec.stages.requests):
        say("recording natural lengths")
        known |= _record(spec, measured, server, CellDirectory(directory.path / "recording"), known, say=say)
        known_path.parent.mkdir(parents=True, exist_ok=True)
        write_json(known_path, {"model": server.model_name, "cap": spec.output.tokens, "lengths": known})
    path = directory.path / "lengths.json"
    directory.path.mkdir(parents=True, exist_ok=True)
    write_json(path, {"model": server.model_name, "cap": spec.output.tokens, "lengths": known})
    output = Output("natural", spec.output.tokens, str(path.resolve()))
    return msgspec.structs.replace(spec, output=output)


def _check(spec: LoadSpec, server: ServerUnderTest) -> None:
    refuse_without_vllm(server, asked="--output natural", instead="--output free")
    if spec.sampling.temperature:
        raise ConfigError(
            "--output natural is the length of the greedy answer; a temperature above 0 has none.",
            hint="Leave --temperature out, or use --output free.",
        )


def refuse_without_vllm(server: ServerUnderTest, *, asked: str, instead: str) -> None:
    """Refuse to record where no length can be kept.

    Raises:
        ConfigError: naming what was asked and what to ask instead.
    """
    if not server.is_vllm:
        raise ConfigError(
            f"{asked} needs a vLLM server: only there can a length be fixed (`ignore_eos`) and a prompt be asked "
            f"twice without a cached beginning (`cache_salt`); {server.base_url} is another one.",
            hint=f"Use {instead}.",
        )


def _identity(spec: LoadSpec, workload: Workload, server: ServerUnderTest) -> str:
    """What decides the lengths: model, prompts, endpoint, cap, sampling."""
    parts = [server.model_name, workload.name, workload.source, spec.endpoint, str(spec.output.tokens)]
    parts.append(msgspec.json.encode(spec.sampling).decode())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _read(path: Path) -> dict[str, int]:
    try:
        lengths: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))["lengths"]
    except (OSError, ValueError, KeyError):
        return {}
    return lengths


def _enough(known: Mapping[str, int], prompts: Sequence[Prompt], requests: int | None) -> bool:
    """Whether the load can be measured with what is known: all prompts, or as many requests as were asked for."""
    wanted = len(prompts) if requests is None else min(requests, len(prompts))
    return sum(prompt.prompt_id in known for prompt in prompts) >= wanted


def _record(
    spec: LoadSpec,
    measured: Sequence[Prompt],
    server: ServerUnderTest,
    directory: CellDirectory,
    known: Mapping[str, int],
    *,
    say: Say,
) -> dict[str, int]:
    """What is not known yet of a load's prompts, in the order in which it sends them."""
    streams = spec.arrivals.streams if isinstance(spec.arrivals, ClosedLoop) else RECORDING_STREAMS
    if not isinstance(spec.arrivals, Replay):
        measured = in_order(measured, seed=spec.order_seed)
    stages = spec.stages
    longest_s = SPARE * (stages.ramp_s + stages.window_s + stages.tail_s)

    def report(progress: Progress) -> None:
        say(f"recording natural lengths ({progress.stage})")

    return record_lengths(
        spec,
        server,
        directory,
        prompts=[p.prompt_id for p in measured[: stages.requests] if p.prompt_id not in known],
        streams=streams,
        limits=PassLimits(longest_s, longest_s if stages.requests is None else 86400.0, enough=0),
        report=report,
    )


def record_lengths(
    spec: LoadSpec,
    server: ServerUnderTest,
    directory: CellDirectory,
    *,
    prompts: Sequence[str],
    streams: int,
    limits: PassLimits,
    report: Callable[[Progress], None],
) -> dict[str, int]:
    """One pass over these prompts of the load's workload, in this order: `turn_key` -> tokens of the greedy answer.

    Its requests have a cache salt of their own: no later prompt finds its beginning cached by them.

    Raises:
        ServerError: if it brings no answer.
        LoadError: if the load generator fails.
    """
    directory.path.mkdir(parents=True, exist_ok=True)
    listed = directory.path.resolve() / "prompts.json"
    write_json(listed, list(prompts))
    pass_spec = msgspec.structs.replace(
        spec,
        arrivals=ClosedLoop(max(1, min(streams, len(prompts)))),
        prompts_path=str(listed),
        slice_index=0,
        slice_count=1,
        output=Output("free", spec.output.tokens),
        sampling=Sampling(),
        stages=Stages(
            warm_up_s=0.0,
            window_s=limits.least_s,
            window_limit_s=limits.longest_s,
            completions=limits.enough,
        ),
        records_dir=str(directory.path.resolve() / "records"),
        processes=1,
    )
    run_cell(pass_spec, server, directory, report=report, always_salt=True)
    lengths = {
        turn_key(r.prompt_id, r.turn): r.completion_tokens
        for r in iterate_records(directory.requests)
        if r.ok and r.phase is Phase.MEASURED and r.completion_tokens
    }
    if not lengths:
        raise ServerError("the pass that records natural lengths brought no answer.")
    return lengths


def length_facts(path: str) -> dict[str, Any]:
    """How many lengths were fixed, and their mean."""
    lengths = list(_read(Path(path)).values())
    return {"prompts": len(lengths), "mean_tokens": sum(lengths) / len(lengths) if lengths else None}

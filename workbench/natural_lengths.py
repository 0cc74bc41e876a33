"""How long each prompt's answer is by nature: recorded once, greedily, then fixed for every later load.

Output length is a confounder: a configuration that ends answers earlier looks faster. Forcing a fixed length makes
the model babble past its end, which flatters speculation. The natural greedy length L of each prompt, recorded once,
becomes `ignore_eos: true, max_tokens: L`. The pass that records sends the prompts that the load will send, in their
order, with a cache salt of its own; only prompts with a recorded length are then measured.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from accounting.errors import ConfigError, ServerError
from accounting.records import Phase
from loadtest.asking import turn_key
from loadtest.config import ClosedLoop, LoadSpec, Output
from loadtest.request_store import iterate_records
from loadtest.workloads import Split, load_workload
from loadtest.workloads.prompt import Sampling
from serving.models.cache import cache_root
from workbench.cell import Progress, run_cell
from workbench.run_directory import CellDirectory, write_json
from workbench.server_under_test import ServerUnderTest

RECORDING_STREAMS = 16
# The measured load must not run out of prompts whose length is known: the pass records more than it will send.
SPARE = 1.5


def with_natural_lengths(
    spec: LoadSpec, server: ServerUnderTest, directory: CellDirectory, *, say: Callable[[str], None]
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
    known_path = cache_root() / "lengths" / f"{_identity(spec, server)}.json"
    known = _read(known_path)
    if not _enough(known, spec):
        say("recording natural lengths")
        known |= _record(spec, server, CellDirectory(directory.path / "recording"), say=say)
        known_path.parent.mkdir(parents=True, exist_ok=True)
        write_json(known_path, {"model": server.model_name, "cap": spec.output.tokens, "lengths": known})
    path = directory.path / "lengths.json"
    directory.path.mkdir(parents=True, exist_ok=True)
    write_json(path, {"model": server.model_name, "cap": spec.output.tokens, "lengths": known})
    output = Output("natural", spec.output.tokens, str(path.resolve()))
    return msgspec.structs.replace(spec, output=output)


def _check(spec: LoadSpec, server: ServerUnderTest) -> None:
    if not server.is_vllm:
        raise ConfigError(
            "--output natural needs a vLLM server: only there can a length be fixed (`ignore_eos`) and a prompt "
            "be asked twice without a cached beginning (`cache_salt`).",
            hint="Use --output free.",
        )
    if spec.sampling.temperature:
        raise ConfigError(
            "--output natural is the length of the greedy answer; a temperature above 0 has none.",
            hint="Leave --temperature out, or use --output free.",
        )


def _identity(spec: LoadSpec, server: ServerUnderTest) -> str:
    """What decides the lengths: model, prompts, endpoint, cap, sampling."""
    workload = load_workload(spec.workload, seed=spec.workload_seed)
    parts = [server.model_name, workload.name, workload.source, spec.endpoint, str(spec.output.tokens)]
    parts.append(msgspec.json.encode(spec.sampling).decode())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _read(path: Path) -> dict[str, int]:
    try:
        lengths: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))["lengths"]
    except (OSError, ValueError, KeyError):
        return {}
    return lengths


def _enough(known: dict[str, int], spec: LoadSpec) -> bool:
    """Whether the load can be measured with what is known: all prompts, or as many requests as were asked for."""
    prompts = load_workload(spec.workload, seed=spec.workload_seed).of(Split.MEASURED)
    wanted = len(prompts) if spec.stages.requests is None else min(spec.stages.requests, len(prompts))
    return sum(prompt.prompt_id in known for prompt in prompts) >= wanted


def _record(
    spec: LoadSpec, server: ServerUnderTest, directory: CellDirectory, *, say: Callable[[str], None]
) -> dict[str, int]:
    streams = spec.arrivals.streams if isinstance(spec.arrivals, ClosedLoop) else RECORDING_STREAMS
    stages, requests = spec.stages, spec.stages.requests
    longest_s = SPARE * (stages.ramp_s + stages.window_s + stages.tail_s)
    pass_spec = msgspec.structs.replace(
        spec,
        arrivals=ClosedLoop(streams),
        output=Output("free", spec.output.tokens),
        sampling=Sampling(),
        stages=msgspec.structs.replace(
            stages,
            warm_up_s=0.0,
            window_s=longest_s,
            window_limit_s=longest_s if requests is None else 86400.0,
            completions=0,
            requests=requests,
        ),
        records_dir=str(directory.path.resolve() / "records"),
        processes=1,
    )

    def report(progress: Progress) -> None:
        say(f"recording natural lengths ({progress.stage})")

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

"""What `kilotoken plan` does: step costs and logged traffic in, the policy that costs least within the SLO out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError, KilotokenError
from accounting.planning.drafting_yield import OFF
from drafts.replay.traces import Trace
from serving.command import Placement, build_command
from serving.config import ServerConfig
from serving.engine_build import installed_device
from serving.vllm_names import names_for
from workbench.experiment import merge_sections, validated
from workbench.models import resolve_model
from workbench.nearest_names import nearest_sentence
from workbench.planning.candidates import Candidate, Limits, method_candidates
from workbench.planning.known_profiles import known_profile
from workbench.planning.logged_traffic import RequestDraw, parse_mix, target_traces, traffic_mix
from workbench.planning.plan_document import plan_document
from workbench.planning.plan_inputs import PlanInputs
from workbench.planning.plan_request import PlanRequest
from workbench.planning.profiled_for import model_identity
from workbench.planning.replayed_yields import Traffic, replayed_yields
from workbench.preparation import check_without_starting, prepare
from workbench.status_line import steps

Document = dict[str, Any]
Say = Callable[[str], None]


def make_plan(request: PlanRequest, *, say: Say) -> Document:
    """The plan as plain values.

    Raises:
        ConfigError: for traces or a profile of something else, unknown drafters or classes.
        RunError: for a damaged profile.
        ModelError: if a model cannot be had.
    """
    target = resolve_model(request.target, base_dir=Path(), report=steps(say))
    known = known_profile(request.profile, model_identity(target))
    traces = target_traces(request.traces, target)
    mix = parse_mix(request.mix, [trace.label for trace in traces])
    own = [trace for trace in traces if trace.label in mix]
    sections = _chosen(known.sections(), request.drafters)
    yields = {}
    for name, section in sections.items():
        say(f"replaying {name}")
        yields[name] = replayed_yields(
            Traffic(request.traces, traces), name, section, range(1, known.ks[name] + 1), target=target.served_from,
            device=installed_device(), report=steps(say),
        )  # fmt: skip
    server = known.server()
    limits = Limits(
        streams=max(known.streams),
        kv_tokens=known.kv_tokens,
        batching=server.get("batching", {}),
        batched_tokens=known.batched_tokens(),
    )
    _refuse_too_long(own, min(known.kv_tokens(name, k) for name, k in {OFF: 0, **known.ks}.items()))
    say("simulating")
    inputs = PlanInputs(
        cost=known.cost,
        candidates=method_candidates(yields, sections, limits),
        mix=traffic_mix(own, mix),
        draw=RequestDraw(own, mix),
        slo=request.slo,
        by=request.by,
        streams=known.streams,
        price=request.price,
        seed=request.seed,
        allowed=partial(_why_not, server),
    )
    document = plan_document(inputs)
    config = served_config(server, document["chosen"]["sections"])
    return document | {
        "target": target.name, "traces": str(request.traces), "answers": len(own),
        "profile": {"directory": str(known.directory), "measured_at": known.document["measured_at"]},
        "profiled_server": server, "most_streams": max(known.streams), "unmeasured": known.unmeasured,
        "request_mix": dict(mix), "longest_answer": max(len(trace.output_token_ids) for trace in own),
        "server": _written(server, document["chosen"]["sections"]),
        "flags": _flags(config, say),
    }  # fmt: skip


def _refuse_too_long(traces: Sequence[Trace], room: float) -> None:
    longest = max(traces, key=lambda trace: len(trace.prompt_token_ids) + len(trace.output_token_ids))
    tokens = len(longest.prompt_token_ids) + len(longest.output_token_ids)
    if tokens > room:
        raise ConfigError(
            f"the answer {longest.id} takes {tokens} tokens with its prompt, and the profiled server's KV cache has room for "
            f"{room:g}.",
            hint="Profile the target with a larger kv_cache.kv_cache_memory_bytes, or leave such traces out.",
        )


def _chosen(sections: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    unknown = [name for name in names if name not in sections]
    if unknown:
        raise ConfigError(
            f"--drafter {unknown[0]!r}: the profile has {', '.join(sections) or 'none'}"
            f"{nearest_sentence(unknown[0], {name: [name] for name in sections})}.",
            hint="Profile it first, or leave it out.",
        )
    return {name: section for name, section in sections.items() if not names or name in names}


def served_config(server: Mapping[str, Any], sections: Mapping[str, Any]) -> ServerConfig:
    """The profile's server with the plan's sections.

    Raises:
        ConfigError: if it is no configuration.
    """
    return validated(ServerConfig, merge_sections(server, sections), origin="plan")


def _why_not(server: Mapping[str, Any], candidate: Candidate) -> str | None:
    """Why vLLM would refuse a candidate or serve something else; None where it would serve it."""
    try:
        check_without_starting(served_config(server, candidate.sections), base_dir=Path(), origin="")
    except KilotokenError as error:
        return error.message
    return None


def _written(server: Mapping[str, Any], sections: Mapping[str, Any]) -> Document:
    merged = merge_sections(server, sections)
    return {key: value for key, value in merged.items() if value and value != {"method": "off"}}


def _flags(config: ServerConfig, say: Say) -> list[str]:
    """vLLM's command line behind the module's name, on the port of `kilotoken serve`."""
    prepared = prepare(config, base_dir=Path(), report=say)
    placement = Placement(
        python="python",
        device=prepared.engine.device,
        host="127.0.0.1",
        port=8000,
        model_path=prepared.target.served_from,
        served_model_name=config.model.served_model_name or prepared.target.name,
        draft_path=prepared.draft.served_from if prepared.draft else None,
        dev_mode=False,
        names=names_for(prepared.engine.version),
        auto_dtype=prepared.auto_dtype,
    )
    return list(build_command(config, placement).argv[3:])

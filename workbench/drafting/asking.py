"""The target answers the training and held-out prompts, alone, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from serving.models.checkpoint_facts import read_checkpoint_facts
from workbench.collect_command import CollectRequest, collect
from workbench.drafting.given_traces import SUMMARY
from workbench.drafting.request import MakeRequest
from workbench.drafting.sections import server_with
from workbench.models import ResolvedModel
from workbench.server_under_test import placement_for, started_server

ASKING_STREAMS = 48


def ask_target(
    request: MakeRequest,
    target: ResolvedModel,
    *,
    argv: Sequence[str],
    stop_after_s: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Ask until all is answered or the time is over; what stands in the traces.

    Raises:
        KilotokenError: if the server does not start or does not answer; answers that came are kept.
    """
    facts = read_checkpoint_facts(Path(target.served_from))
    config = server_with(request.target, facts, {"method": "off"}, dtype="auto", streams=ASKING_STREAMS)
    placement, log = placement_for(config, report=say), request.out / "asking.log"
    with started_server(config, placement, log_path=log, report=say) as server:
        asked = CollectRequest(
            url=server.base_url,
            workloads=request.workloads,
            max_tokens=request.max_tokens,
            count=request.count,
            concurrency=ASKING_STREAMS,
            seed=request.seed,
            endpoint="chat",
            heldout_share=0.2,
            beyond=0,
            temperatures=request.temperatures,
            stop_after_s=stop_after_s,
        )
        document = collect(asked, out=request.out / "traces", argv=argv, say=say)
    return {key: document[key] for key in SUMMARY}

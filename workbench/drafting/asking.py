"""The target answers the training and held-out prompts, alone, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from workbench.collect_command import CollectRequest, collect
from workbench.drafting.given_traces import SUMMARY
from workbench.drafting.request import MakeRequest
from workbench.target_server import target_server

ASKING_STREAMS = 48


def ask_target(
    request: MakeRequest,
    *,
    argv: Sequence[str],
    stop_after_s: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Ask until all is answered or the time is over; what stands in the traces.

    Raises:
        KilotokenError: if the server does not start or does not answer; answers that came are kept.
    """
    log = request.out / "asking.log"
    with target_server(request.target, streams=ASKING_STREAMS, log=log, say=say) as server:
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

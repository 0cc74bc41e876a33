"""Ready-made load specs, for tests and examples."""

from __future__ import annotations

from typing import Any

from loadtest.config import ClosedLoop, LoadSpec, Output, Stages

_BLANK: dict[str, Any] = {
    "base_url": "http://127.0.0.1:1",
    "model": "fake-model",
    "arrivals": ClosedLoop(2),
    "workload": "chat",
    "workload_seed": 1,
    "order_seed": 1,
    "slice_index": 0,
    "slice_count": 1,
    "output": Output("free", 40),
    "stages": Stages(warm_up_s=0.2, window_s=1.0, window_limit_s=60.0),
    "request_timeout_s": 60.0,
    "records_dir": "unused",
}


def load_spec(**changes: Any) -> LoadSpec:
    """Two closed-loop streams on chat prompts, with these fields changed."""
    return LoadSpec(**{**_BLANK, **changes})

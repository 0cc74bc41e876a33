"""What one load child is told: a strict, frozen document that it reads from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from loadtest.workloads.prompt import Sampling

#: Environment variables through which the parent hands the child its document and its event pipe.
SPEC_VARIABLE = "KILOTOKEN_LOAD_SPEC"
EVENTS_VARIABLE = "KILOTOKEN_LOAD_EVENTS_FD"
API_KEY_VARIABLE = "KILOTOKEN_LOAD_API_KEY"
PARENT_VARIABLE = "KILOTOKEN_LOAD_PARENT_PID"
#: Where a worker on another host keeps its records until it has sent them.
RECORDS_VARIABLE = "KILOTOKEN_LOAD_RECORDS_DIR"


class ClosedLoop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="closed_loop"):
    """N streams; each sends its next request when its answer is complete and `think_time_s` has passed."""

    streams: int
    think_time_s: float = 0.0  # mean
    think_time_kind: Literal["constant", "exponential"] = "constant"


class RateSegment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arrival rate goes from `start` to `end` requests per second, linearly, over `duration_s`."""

    start: float
    end: float
    duration_s: float


class OpenLoop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="open_loop"):
    """Arrivals that do not wait for answers: a renewal process whose rate may ramp or step.

    `rates` begins when measured prompts begin; its last rate goes on as long as the cell needs. `cv` is the
    coefficient of variation of the gaps between arrivals: 0 constant, 1 Poisson, anything else gamma.
    """

    rates: tuple[RateSegment, ...]
    cv: float = 1.0


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="replay"):
    """The workload's own times of arrival (`Prompt.at_s`), `speed` times as fast, in seconds of the trace."""

    speed: float = 1.0
    start_s: float = 0.0
    duration_s: float | None = None  # None: to the trace's end


Arrivals = ClosedLoop | OpenLoop | Replay


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long answers are.

    free: they end by themselves, at most `tokens`. fixed: exactly `tokens` (or what the prompt declares).
    natural: exactly as long as the baseline's greedy answer was, from `lengths_path` (prompt id -> tokens).
    """

    kind: Literal["free", "fixed", "natural"]
    tokens: int
    lengths_path: str = ""


class Stages(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long the parts of a cell last. Seconds."""

    warm_up_s: float
    ramp_s: float = 0.0  # open loop: measured prompts are sent this long before the window opens
    window_s: float
    window_limit_s: float
    completions: int = 0  # answers that the window waits for, between its two limits
    requests: int | None = None  # the window closes after so many measured requests, whatever else
    tail_s: float = 0.5  # load goes on this long after the window, so that its edge is scraped under load
    drain_limit_s: float = 600.0


class LoadSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One cell's load over one workload against one server. Times in seconds."""

    base_url: str
    model: str
    endpoint: Literal["chat", "completions"] = "chat"
    arrivals: Arrivals
    workload: str  # a catalogue name, a mix of names, or the path of a file
    workload_seed: int
    order_seed: int  # equal for all arms of a repeat: they see the same prompts in the same order
    slice_index: int  # cells of one server life draw from disjoint slices of the prompts
    slice_count: int
    output: Output
    sampling: Sampling = Sampling()
    stages: Stages
    request_timeout_s: float
    records_dir: str  # each process writes its own file there
    processes: int = 1
    vllm_extensions: bool = (
        True  # whether fields that only vLLM knows may be sent; other servers may refuse them
    )
    cache_salt: str = ""  # vLLM keeps prefixes of different salts apart; empty sends none
    prompts_path: str = ""  # a JSON list of ids: just these are measured, in that order; empty: the slice

    @property
    def asks_once(self) -> bool:
        """Whether a closed loop ends where it would begin its prompts again."""
        return self.output.kind == "natural" or bool(self.prompts_path)

    @property
    def ends_with_first_stream(self) -> bool:
        """Whether the window ends when one stream has no prompt left: with fewer it would be another load."""
        closed = isinstance(self.arrivals, ClosedLoop)
        return closed and self.output.kind == "natural" and self.stages.requests is None


def write_spec(spec: LoadSpec, path: Path) -> None:
    """Store the document where the child and a later reader find it."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(spec), indent=2))


def read_spec(path: Path) -> LoadSpec:
    """Read the document back, strictly."""
    return msgspec.json.decode(path.read_bytes(), type=LoadSpec)

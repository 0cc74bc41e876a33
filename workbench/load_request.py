"""What `kilotoken load` was asked for, checked and turned into a load spec: pure, no I/O."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import Literal

from accounting.errors import ConfigError
from accounting.verdicts import COMPLETIONS_PER_STREAM
from loadtest.arrivals import RateProfile, parse_arrivals, parse_rates
from loadtest.config import Arrivals, ClosedLoop, LoadSpec, OpenLoop, Output, Replay, Stages
from loadtest.workloads.prompt import Sampling

DEFAULT_DURATION_S = 30.0
LIMIT_FACTOR = 4.0  # how much longer than asked a window may last for want of completions
ENDPOINTS = ("chat", "completions")
OUTPUT_HELP = "free, fixed, fixed:N or natural"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """The command's options. Exactly one of `streams`, `rate` and `trace` is given."""

    workload: str | None = None
    streams: int | None = None
    think_time_s: float = 0.0
    rate: str | None = None
    arrivals: str = "poisson"
    trace: str | None = None
    speed: float = 1.0
    duration_s: float | None = None
    requests: int | None = None
    warm_up_s: float = 3.0
    ramp_s: float = 2.0
    output: str = "free"
    max_tokens: int = 128
    endpoint: str | None = None
    processes: int = 1
    seed: int = 1
    timeout_s: float = 300.0
    sampling: Sampling = field(default_factory=Sampling)

    def spec(self, *, base_url: str, model: str, vllm_extensions: bool, records_dir: str) -> LoadSpec:
        """The load that was asked for.

        Raises:
            ConfigError: naming the option.
        """
        arrivals, workload = self._arrivals(), self._workload()
        return LoadSpec(
            base_url=base_url,
            model=model,
            endpoint=self._endpoint(),
            arrivals=arrivals,
            workload=workload,
            workload_seed=self.seed,
            order_seed=self.seed,
            slice_index=0,
            slice_count=1,
            output=self._output(),
            sampling=self.sampling,
            stages=self._stages(arrivals),
            request_timeout_s=self.timeout_s,
            records_dir=records_dir,
            processes=self.processes,
            vllm_extensions=vllm_extensions,
        )

    def _arrivals(self) -> Arrivals:
        given = [
            name
            for name, value in (("--streams", self.streams), ("--rate", self.rate), ("--trace", self.trace))
            if value is not None
        ]
        if len(given) != 1:
            raise ConfigError(
                f"{' and '.join(given)} were given together." if given else "how much load?",
                hint="Give exactly one of --streams N (closed loop), --rate R (open loop) or --trace FILE (replay).",
            )
        if self.duration_s is not None and self.requests is not None:
            raise ConfigError("--duration and --requests were given together.", hint="Give one of them.")
        if self.streams is not None:
            return ClosedLoop(self.streams, self.think_time_s)
        if self.rate is not None:
            return OpenLoop(parse_rates(self.rate), parse_arrivals(self.arrivals))
        return Replay(speed=self.speed, duration_s=self.duration_s and self.duration_s * self.speed)

    def _workload(self) -> str:
        if self.trace is None:
            return self.workload or "chat"
        if self.workload is not None:
            raise ConfigError(
                "--trace and --workload were given together.",
                hint="A trace says itself what is asked: leave --workload out.",
            )
        return self.trace

    def _endpoint(self) -> Literal["chat", "completions"]:
        given = self.endpoint or ("completions" if self.trace is not None else "chat")
        if given == "chat":
            return "chat"
        if given == "completions":
            return "completions"
        nearest = difflib.get_close_matches(given, ENDPOINTS, n=1, cutoff=0.0)[0]
        raise ConfigError(
            f"--endpoint {given} is not known. Allowed: {', '.join(ENDPOINTS)}.",
            hint=f"Did you mean {nearest}?",
        )

    def _output(self) -> Output:
        if self.trace is not None and self.output == "free":
            return Output("fixed", self.max_tokens)  # a trace declares the length of every answer
        if self.output in ("free", "natural", "fixed"):
            return Output(self.output, self.max_tokens)  # type: ignore[arg-type]
        if (match := re.fullmatch(r"fixed:(\d+)", self.output)) and int(match[1]) > 0:
            return Output("fixed", int(match[1]))
        raise ConfigError(
            f"--output {self.output} is not known. Allowed: {OUTPUT_HELP}.",
            hint="free: answers end by themselves, at most --max-tokens; fixed:N: exactly N tokens; "
            "natural: each prompt's own greedy length, recorded first.",
        )

    def _stages(self, arrivals: Arrivals) -> Stages:
        replay, closed = isinstance(arrivals, Replay), isinstance(arrivals, ClosedLoop)
        window_s = self.duration_s or self._profile_s(arrivals) or DEFAULT_DURATION_S
        limit_s = window_s * LIMIT_FACTOR
        if replay or self.requests is not None:
            limit_s = self.duration_s or 86400.0  # the end of the arrivals ends the window
        return Stages(
            warm_up_s=self.warm_up_s,
            ramp_s=0.0 if replay or closed else self.ramp_s,
            window_s=limit_s if replay else window_s,
            window_limit_s=limit_s,
            completions=COMPLETIONS_PER_STREAM * arrivals.streams if isinstance(arrivals, ClosedLoop) else 0,
            requests=self.requests,
            drain_limit_s=self.timeout_s,
        )

    @staticmethod
    def _profile_s(arrivals: Arrivals) -> float:
        """How long the steps and ramps of an open loop last; 0 where the rate is one number."""
        return RateProfile(arrivals.rates).duration_s if isinstance(arrivals, OpenLoop) else 0.0

"""What `kilotoken load` was asked for, checked and turned into a load spec: pure, no I/O."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from accounting.errors import ConfigError
from accounting.verdicts import COMPLETIONS_PER_STREAM
from loadtest.arrivals import RateProfile, parse_arrivals, parse_rates
from loadtest.config import Arrivals, ClosedLoop, LoadSpec, OpenLoop, Output, Replay, Stages
from loadtest.workloads.prompt import Sampling
from loadtest.workloads.sampling_rules import sampling_problem

DEFAULT_DURATION_S = 30.0
DEFAULT_RAMP_S = 2.0
DEFAULT_MAX_TOKENS = 128
LIMIT_FACTOR = 4.0  # how much longer than asked a window may last for want of completions
ENDPOINTS = ("chat", "completions")
OUTPUT_HELP = "free, fixed, fixed:N or natural"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """The command's options, None where they were not given. Exactly one of `streams`, `rate` and `trace` is."""

    workload: str | None = None
    streams: int | None = None
    think_time_s: float | None = None
    rate: str | None = None
    arrivals: str | None = None
    trace: str | None = None
    speed: float | None = None
    duration_s: float | None = None
    requests: int | None = None
    warm_up_s: float = 3.0
    ramp_s: float | None = None
    output: str = "free"
    max_tokens: int | None = None
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
        self._check()
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

    def _check(self) -> None:
        """Refuse numbers that are none, and options that would do nothing."""
        for option, value in (
            ("--think-time", self.think_time_s),
            ("--speed", self.speed),
            ("--duration", self.duration_s),
            ("--warm-up", self.warm_up_s),
            ("--ramp", self.ramp_s),
            ("--timeout", self.timeout_s),
        ):
            if value is not None and not math.isfinite(value):
                raise ConfigError(f"{option} {value} cannot be used: it must be a finite number.")
        for option, given, needed, there in (
            ("--think-time", self.think_time_s, "--streams", self.streams),
            ("--arrivals", self.arrivals, "--rate", self.rate),
            ("--ramp", self.ramp_s, "--rate", self.rate),
            ("--speed", self.speed, "--trace", self.trace),
        ):
            if given is not None and there is None:
                raise ConfigError(
                    f"{option} was given without {needed}.",
                    hint=f"It has a meaning with {needed} only: leave it out, or give {needed}.",
                )
        if self.ramp_s is not None and self.requests is not None:
            raise ConfigError(
                "--ramp and --requests were given together.",
                hint="With --requests every one of them is measured, from the first on: leave --ramp out.",
            )
        if problem := sampling_problem(self.sampling):
            name, _, rest = problem.partition(" ")
            raise ConfigError(f"--{name.replace('_', '-')} {rest}")

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
            return ClosedLoop(self.streams, self.think_time_s or 0.0)
        if self.rate is not None:
            with as_option("--rate"):
                rates = parse_rates(self.rate)
            with as_option("--arrivals"):
                return OpenLoop(rates, parse_arrivals(self.arrivals or "poisson"))
        speed = 1.0 if self.speed is None else self.speed
        return Replay(speed=speed, duration_s=self.duration_s and self.duration_s * speed)

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
        most = self.max_tokens or DEFAULT_MAX_TOKENS
        if self.trace is not None and self.output == "free":
            return Output("fixed", most)  # a trace declares the length of every answer
        if self.output in ("free", "natural", "fixed"):
            return Output(self.output, most)  # type: ignore[arg-type]
        if (match := re.fullmatch(r"fixed:(\d+)", self.output)) and int(match[1]) > 0:
            if self.max_tokens is not None:
                raise ConfigError(
                    f"--output {self.output} and --max-tokens {self.max_tokens} were given together.",
                    hint="fixed:N says itself how long answers are: leave --max-tokens out.",
                )
            return Output("fixed", int(match[1]))
        kind = self.output.partition(":")[0]
        nearest = difflib.get_close_matches(kind, ("free", "fixed", "natural"), n=1)
        raise ConfigError(
            f"--output {self.output} is not known. Allowed: {OUTPUT_HELP}.",
            hint=f"Did you mean {nearest[0]}?"
            if nearest and nearest[0] != kind
            else "free: answers end by themselves, at most --max-tokens; fixed:N: exactly N tokens, at least 1; "
            "natural: each prompt's own greedy length, recorded first.",
        )

    def _stages(self, arrivals: Arrivals) -> Stages:
        replay = isinstance(arrivals, Replay)
        window_s = self.duration_s or self._profile_s(arrivals) or DEFAULT_DURATION_S
        limit_s = window_s * LIMIT_FACTOR
        if replay or self.requests is not None:
            limit_s = self.duration_s or 86400.0  # the end of the arrivals ends the window
        return Stages(
            warm_up_s=self.warm_up_s,
            ramp_s=self._default_ramp_s(arrivals) if self.ramp_s is None else self.ramp_s,
            window_s=limit_s if replay else window_s,
            window_limit_s=limit_s,
            completions=COMPLETIONS_PER_STREAM * arrivals.streams if isinstance(arrivals, ClosedLoop) else 0,
            requests=self.requests,
            drain_limit_s=self.timeout_s,
        )

    def _default_ramp_s(self, arrivals: Arrivals) -> float:
        """A rate without end takes a while until it meets the queue that belongs to it; what ends is measured whole."""
        endless = isinstance(arrivals, OpenLoop) and self.requests is None and not self._profile_s(arrivals)
        return DEFAULT_RAMP_S if endless else 0.0

    @staticmethod
    def _profile_s(arrivals: Arrivals) -> float:
        """How long the steps and ramps of an open loop last; 0 where the rate is one number."""
        return RateProfile(arrivals.rates).duration_s if isinstance(arrivals, OpenLoop) else 0.0


@contextmanager
def as_option(option: str) -> Iterator[None]:
    """Have a ConfigError from within name the option, in whole sentences: the command line puts them in a row."""
    try:
        yield
    except ConfigError as error:
        # What `parse_rates` reads begins with "rate '...'": the option itself, without its dashes.
        named = (
            f"--{error.message}"
            if error.message.startswith(option[2:] + " ")
            else f"{option}: {error.message}"
        )
        raise ConfigError(_sentence(named), hint=_sentence(error.hint), details=error.details) from error


def _sentence(text: str) -> str:
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "?", "!", "`")) else ".")

"""All kinds of fault rule, the script of a server's rules, and the counting that says which apply."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from serving.fake_server.fault_rule import FaultRule
from serving.fake_server.refusal_faults import (
    HangFault,
    MetricsMissingFault,
    NotReadyFault,
    RedirectFault,
    ResetLiesFault,
    SlowMetricsFault,
    StatusFault,
)
from serving.fake_server.stream_faults import (
    ChoicesFault,
    DieFault,
    EmptyChunksFault,
    EndingFault,
    ErrorEventFault,
    HugeEventFault,
    KeepAliveFault,
    NotStreamedFault,
    NoUsageFault,
    ReasoningFault,
    SseFault,
    StallFault,
    ToolCallsFault,
    UsageApartFault,
    WrongTokenFault,
    WrongUsageFault,
)
from serving.fake_server.wire_faults import (
    CloseIdleFault,
    FragmentFault,
    FramingFault,
    GarbageFault,
    GlueFault,
    HalfCloseFault,
    InterimFault,
    ResetFault,
    TruncateFault,
)

AnyFault = (
    StatusFault | RedirectFault | HangFault | MetricsMissingFault | SlowMetricsFault | NotReadyFault |
    GarbageFault | TruncateFault | ResetFault | HalfCloseFault | CloseIdleFault | FragmentFault |
    GlueFault | FramingFault | InterimFault | StallFault | ErrorEventFault | DieFault | WrongUsageFault
    | NoUsageFault | NotStreamedFault | SseFault | KeepAliveFault | EmptyChunksFault | ReasoningFault |
    ToolCallsFault | ChoicesFault | UsageApartFault | HugeEventFault | EndingFault |
    WrongTokenFault | ResetLiesFault
)  # fmt: skip
KINDS: Mapping[str, type[FaultRule]] = {
    str(rule.__struct_config__.tag): rule for rule in FaultRule.__subclasses__()
}


class FaultScript(msgspec.Struct, frozen=True):
    """The rules in order; every rule that applies to a request takes part."""

    rules: tuple[AnyFault, ...] = ()


class FaultDraw:
    """Counts the requests that each rule covers and says which faults the next one gets."""

    def __init__(self, script: FaultScript, seed: int) -> None:
        self._rules = script.rules
        self._seed = seed
        self._counts = [0] * len(script.rules)

    def next_faults(self, path: str) -> tuple[AnyFault, ...]:
        """The faults of one more request to `path`."""
        drawn = []
        for index, rule in enumerate(self._rules):
            if rule.covers(path):
                self._counts[index] += 1
                if rule.applies(self._counts[index], f"{self._seed} {index}"):
                    drawn.append(rule)
        return tuple(drawn)

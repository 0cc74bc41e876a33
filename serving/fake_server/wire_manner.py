"""How one answer travels: which of its faults concern the writing of bytes, gathered in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from serving.fake_server.faults import AnyFault
from serving.fake_server.stream_faults import SseFault
from serving.fake_server.wire_faults import (
    CloseIdleFault,
    FragmentFault,
    FramingFault,
    GlueFault,
    InterimFault,
)

Kind = TypeVar("Kind", FragmentFault, GlueFault, FramingFault, InterimFault, CloseIdleFault, SseFault)

_USUAL_FRAMING = FramingFault()


@dataclass(frozen=True, slots=True)
class WireManner:
    """None: as vLLM does it."""

    fragment: FragmentFault | None = None
    glue: GlueFault | None = None
    framing: FramingFault = _USUAL_FRAMING
    interim: InterimFault | None = None
    close_idle: CloseIdleFault | None = None
    sse: SseFault | None = None


AS_VLLM = WireManner()


def wire_manner(faults: Sequence[AnyFault]) -> WireManner:
    """The manner that these faults ask for; of two of a kind the first counts."""
    if not faults:
        return AS_VLLM
    return WireManner(
        fragment=_first(faults, FragmentFault),
        glue=_first(faults, GlueFault),
        framing=_first(faults, FramingFault) or _USUAL_FRAMING,
        interim=_first(faults, InterimFault),
        close_idle=_first(faults, CloseIdleFault),
        sse=_first(faults, SseFault),
    )


def _first(faults: Sequence[AnyFault], kind: type[Kind]) -> Kind | None:
    return next((fault for fault in faults if isinstance(fault, kind)), None)

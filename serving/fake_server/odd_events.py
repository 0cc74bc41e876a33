"""An answer's events with the oddities that other servers and reasoning models bring; vLLM's where none is scripted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serving.fake_server.engine import Step
from serving.fake_server.event_shapes import AnswerShapes
from serving.fake_server.faults import AnyFault
from serving.fake_server.stream_faults import (
    ChoicesFault,
    EmptyChunksFault,
    HugeEventFault,
    NoUsageFault,
    ReasoningFault,
    ToolCallsFault,
    UsageApartFault,
)

Event = dict[str, Any]
_EMPTY_DELTAS: tuple[Event, ...] = ({"role": "assistant"}, {"content": ""}, {"content": None})


class OddEvents:
    """Writes one streamed answer's events; to be asked for them in order."""

    def __init__(self, shapes: AnswerShapes, faults: Sequence[AnyFault]) -> None:
        self._shapes = shapes
        self._faults = faults
        self._chunks = 0

    def first_events(self) -> list[Event]:
        """What goes before the first tokens."""
        events: list[Event] = list(self._shapes.first_events())
        for fault in self._faults:
            if isinstance(fault, EmptyChunksFault):
                events += [self._without_tokens(number, 0) for number in range(fault.chunks)]
        return events

    def step_events(self, step: Step) -> list[Event]:
        """The events of one step: the first has its tokens."""
        self._chunks += 1
        event: Event = self._shapes.step_event(step)
        for fault in self._faults:
            self._change(event, fault, step)
        events = [event]
        for fault in self._faults:
            if isinstance(fault, UsageApartFault) and "usage" in event:
                events.append({**event, "choices": [], "usage": event.pop("usage")})
            elif isinstance(fault, EmptyChunksFault):
                events.append(self._without_tokens(1, step.total_tokens))
            elif isinstance(fault, ChoicesFault) and step.finish_reason is not None:
                events += self._closing(event, fault.count, step.finish_reason)
        return events

    def last_events(self, total_tokens: int) -> list[Event]:
        """What goes between the last tokens and `[DONE]`."""
        return list(self._shapes.last_events(total_tokens))

    def _change(self, event: Event, fault: AnyFault, step: Step) -> None:
        """Change a chunk's event in place."""
        (choice,) = event["choices"]
        chat = self._shapes.request.chat
        match fault:
            case ReasoningFault(field=field, chunks=chunks) if chat and self._chunks <= chunks:
                choice["delta"] = {field: step.text}
            case ToolCallsFault() if chat:
                choice["delta"] = {"tool_calls": [self._call(step.text)]}
            case ChoicesFault(count=count):
                choice["index"] = (self._chunks - 1) % count
            case HugeEventFault(padding_bytes=size, chunk=chunk) if self._chunks == chunk:
                event["padding"] = "x" * size
            case NoUsageFault(where="chunks"):
                event["usage"] = None
            case _:
                pass

    def _call(self, arguments: str) -> Event:
        """A piece of the one tool call; its name comes with the first."""
        if self._chunks > 1:
            return {"index": 0, "function": {"arguments": arguments}}
        named = {"name": "look_up", "arguments": arguments}
        return {"index": 0, "id": "call-0", "type": "function", "function": named}

    def _without_tokens(self, number: int, total_tokens: int) -> Event:
        """An event that carries none of the tokens so far counted."""
        event: Event = self._shapes.empty_event(total_tokens)
        (choice,) = event["choices"]
        if self._shapes.request.chat:
            choice["delta"] = dict(_EMPTY_DELTAS[number % len(_EMPTY_DELTAS)])
        return event

    def _closing(self, last: Event, count: int, reason: str) -> list[Event]:
        """The end of all choices but the last event's, in one event of several choices."""
        (ended,) = last["choices"]
        empty: Event = {"delta": {}} if self._shapes.request.chat else {"text": ""}
        others = [
            {"index": index, **empty, "logprobs": None, "finish_reason": reason}
            for index in range(count)
            if index != ended["index"]
        ]
        return [{key: last[key] for key in ("id", "object", "created", "model")} | {"choices": others}]

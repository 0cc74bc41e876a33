"""What one request says, and one session's requests in turn: prompt, length, body, record.

The same for closed and open loops, which decide only *when*.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from accounting.errors import ConfigError
from accounting.records import Phase, RequestRecord
from loadtest.config import ClosedLoop, LoadSpec
from loadtest.prompt_order import ordered_slice
from loadtest.request_body import request_body
from loadtest.streaming_client import Send, StreamingClient
from loadtest.workloads import Message, Prompt, Split, load_workload

_SPLITS = {Phase.WARM_UP: Split.WARM_UP, Phase.MEASURED: Split.MEASURED}


class Prompts:
    """The prompts of a cell by phase and number; numbers beyond the last begin again, and say so."""

    def __init__(self, by_phase: Mapping[Phase, Sequence[Prompt]]) -> None:
        self._by_phase = by_phase

    def __getitem__(self, place: tuple[Phase, int]) -> tuple[Prompt, int]:
        """The prompt, and how often it was used before."""
        phase, number = place
        prompts = self._by_phase[phase]
        return prompts[number % len(prompts)], number // len(prompts)

    def of(self, phase: Phase) -> Sequence[Prompt]:
        """All prompts of a phase, in order."""
        return self._by_phase[phase]

    def has(self, phase: Phase, number: int) -> bool:
        """Whether that number has a prompt of its own, and begins none again."""
        return number < len(self._by_phase[phase])


def prompts_for(spec: LoadSpec, *, keep_order: bool) -> Prompts:
    """Load a cell's prompts. `keep_order` for a trace, whose order is its own.

    Raises:
        ConfigError: if the workload cannot be had, or too few natural lengths are known.
        ValueError: if there are too few prompts.
    """
    workload = load_workload(spec.workload, seed=spec.workload_seed)
    by_phase: dict[Phase, Sequence[Prompt]] = {}
    for phase, split in _SPLITS.items():
        prompts = workload.of(split)
        by_phase[phase] = (
            prompts
            if keep_order
            else ordered_slice(
                prompts,
                seed=spec.order_seed,
                slice_index=spec.slice_index,
                slice_count=spec.slice_count,
            )
        )
    if spec.prompts_path:
        by_phase[Phase.MEASURED] = _listed(workload.of(Split.MEASURED), spec.prompts_path)
    if spec.output.kind == "natural":
        by_phase[Phase.MEASURED] = _of_known_length(by_phase[Phase.MEASURED], spec)
    return Prompts(by_phase)


def _listed(prompts: Sequence[Prompt], path: str) -> list[Prompt]:
    """The prompts that a file names, in its order.

    Raises:
        ConfigError: if it cannot be read, or names one that does not exist.
    """
    by_id = {prompt.prompt_id: prompt for prompt in prompts}
    try:
        return [by_id[prompt_id] for prompt_id in json.loads(Path(path).read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"the list of prompts {path!r} cannot be used: {error}") from error


def _of_known_length(prompts: Sequence[Prompt], spec: LoadSpec) -> list[Prompt]:
    """The prompts of which every turn's natural length is known.

    Raises:
        ConfigError: if they are fewer than the streams.
    """
    lengths = read_lengths(spec)
    known = [
        prompt
        for prompt in prompts
        if all(turn_key(prompt.prompt_id, turn) in lengths for turn in range(len(prompt.turns) + 1))
    ]
    needed = spec.arrivals.streams if isinstance(spec.arrivals, ClosedLoop) else 1
    if len(known) < needed:
        raise ConfigError(
            f"workload {spec.workload}: the natural length of {len(known)} prompts is known here; "
            f"this load needs {needed} at least.",
            hint="Record more of them (a longer window), or measure a smaller load.",
        )
    return known


@dataclass(frozen=True, slots=True)
class Ask:
    """A prompt to be asked, and as what. `cut` shortens a warm-up answer to that share of its length."""

    prompt: Prompt
    phase: Phase
    stream: int
    repeat: int
    cut: float | None = None


class Asker:
    """Asks prompts through clients; every request ends as one record in `sink`."""

    def __init__(
        self, spec: LoadSpec, *, sink: Callable[[RequestRecord], None], worker: int, api_key: str | None
    ) -> None:
        """Raises ConfigError if natural lengths are asked for and cannot be read."""
        self._spec = spec
        self._sink = sink
        self._worker = worker
        self._api_key = api_key
        self._number = 0
        self._lengths = read_lengths(spec)

    def client(self) -> StreamingClient:
        """A connection of its own."""
        return StreamingClient(
            self._spec.base_url,
            endpoint=self._spec.endpoint,
            timeout_s=self._spec.request_timeout_s,
            api_key=self._api_key,
            worker=self._worker,
        )

    def ask(
        self,
        client: StreamingClient,
        what: Ask,
        *,
        intended_s: float,
        said: Sequence[Message] = (),
    ) -> RequestRecord:
        """Ask one turn of a prompt; `said` is what was said before it."""
        prompt, phase = what.prompt, what.phase
        self._number += 1
        tokens, exactly = self._length(prompt, phase, turn=len(said) // 2)
        if what.cut is not None:
            tokens, exactly = max(1, round(tokens * what.cut)), exactly and phase is Phase.MEASURED
        body = request_body(
            self._spec,
            prompt,
            max_tokens=tokens,
            exactly=exactly,
            # Token ids are the third count of the reconciliation; asked for where they cost no measurement.
            return_token_ids=phase is Phase.WARM_UP and self._spec.vllm_extensions,
            said=said,
        )
        send = Send(
            request_id=f"{self._worker:02d}-{self._number:06d}",
            phase=phase,
            stream=what.stream,
            workload=prompt.workload,
            prompt_id=prompt.prompt_id,
            template=prompt.template,
            prompt_repeat=what.repeat,
            intended_send_s=intended_s,
            body=body,
            session=prompt.prompt_id if prompt.turns else "",
            turn=len(said) // 2,
            expected_tokens=tokens if exactly and phase is Phase.MEASURED else None,
            keep_text=len(said) // 2 < len(prompt.turns),
        )
        return client.run(send, self._sink)

    def _length(self, prompt: Prompt, phase: Phase, *, turn: int) -> tuple[int, bool]:
        """How many tokens to allow, and whether exactly so many are wanted."""
        output = self._spec.output
        if output.kind == "natural" and phase is Phase.MEASURED:
            natural = self._lengths.get(turn_key(prompt.prompt_id, turn))
            return (natural, True) if natural else (output.tokens, False)
        if prompt.output_tokens is not None and output.kind == "fixed":
            return prompt.output_tokens, True
        return min(output.tokens, prompt.max_tokens or output.tokens), output.kind == "fixed"


def turn_key(prompt_id: str, turn: int) -> str:
    """Under which name the natural length of a prompt's turn is kept."""
    return f"{prompt_id}#{turn}" if turn else prompt_id


def read_lengths(spec: LoadSpec) -> dict[str, int]:
    """The natural lengths that an earlier pass recorded; empty where they are not asked for.

    Raises:
        ConfigError: if the file is missing or no such table.
    """
    if spec.output.kind != "natural":
        return {}
    try:
        lengths = json.loads(Path(spec.output.lengths_path).read_text(encoding="utf-8"))["lengths"]
        return {str(key): int(value) for key, value in lengths.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"natural lengths cannot be read from {spec.output.lengths_path!r}: {error}",
            hint="They are recorded by a pass over the prompts before the load.",
        ) from error

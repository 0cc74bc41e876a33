"""What a device gives: memory, bandwidth, operations a second by number format, the link to its neighbours, watts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from accounting.estimate.weight_bytes import Format

#: Tokens that an engine puts into one step: what vLLM 0.32 serves with on an H100 (max_num_batched_tokens).
BATCHED_TOKENS = 8192

#: In which format matrices are multiplied where weights are stored in this one.
_COMPUTED_IN = {
    Format.INT4: Format.BFLOAT16,
    Format.UNSTRUCTURED_50: Format.BFLOAT16,
    Format.SPARSE_2_4: Format.BFLOAT16,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device, as its maker states it or as it was measured.

    `flops_per_s` by the format that is computed in, dense. `link_bytes_per_s`: to its neighbours, both directions
    together as makers state it, None where there is none. `step_overhead_s`: what the engine takes for each step beside the
    device's own work, `token_overhead_s`: for each sequence that gets a token in it, `layer_overhead_s`: for each layer, whose
    operations have to be started, `layer_token_overhead_s`: for each sequence in each layer, and `rows_flops_per_s`: measured
    rates of matrix products by rows (a step of few rows is slower than the peak). `batched_tokens`: how many tokens of prompts
    the engine puts into one step on it. `served_in`: the format of weights whose checkpoint stores them in 16 bits.
    """

    name: str
    memory_bytes: float
    bandwidth_bytes_per_s: float
    flops_per_s: Mapping[Format, float]
    source: str
    as_of: date
    link_bytes_per_s: float | None = None
    board_watts: float | None = None
    step_overhead_s: float = 0.0
    token_overhead_s: float = 0.0
    layer_overhead_s: float = 0.0
    layer_token_overhead_s: float = 0.0
    rows_flops_per_s: Mapping[int, float] = field(default_factory=dict)
    batched_tokens: int = BATCHED_TOKENS
    served_in: Format = Format.BFLOAT16

    def __post_init__(self) -> None:
        """Refuse what no device is."""
        amounts = {
            "memory": self.memory_bytes,
            "bandwidth": self.bandwidth_bytes_per_s,
            **{f"{form} rate": rate for form, rate in self.flops_per_s.items()},
        }
        for name, amount in amounts.items():
            if not (math.isfinite(amount) and amount > 0):
                raise ValueError(f"device {self.name}: its {name} must be a positive number, not {amount}")
        if Format.BFLOAT16 not in self.flops_per_s:
            raise ValueError(f"device {self.name}: its bfloat16 rate is needed")
        if not self.source.strip():
            raise ValueError(f"device {self.name}: its figures need a source")
        if self.batched_tokens < 1:
            raise ValueError(f"device {self.name}: a step of {self.batched_tokens} tokens cannot be")

    def rate(self, form: Format, rows: float = math.inf) -> float:
        """Operations a second with weights in this format; one that the device cannot compute in runs as bfloat16.

        `rows`: tokens in the step. Where times by rows were measured, a step is done as several of fewer rows, or as one of
        more, whichever takes less: its seconds never fall with its rows, nor exceed those of a larger measured step.
        """
        computed = _COMPUTED_IN.get(form, form)
        peak = self.flops_per_s.get(computed, self.flops_per_s[Format.BFLOAT16])
        if not self.rows_flops_per_s:
            return peak
        fewest = min(self.rows_flops_per_s)
        as_fewer = (rate for n, rate in self.rows_flops_per_s.items() if n <= max(rows, fewest))
        as_more = (rate * rows / n for n, rate in self.rows_flops_per_s.items() if n >= rows)
        return min(peak, max((*as_fewer, *as_more)))

    def computes_in(self, form: Format) -> bool:
        """Whether it has a rate of its own for weights in this format; else they run at its bfloat16 rate."""
        return _COMPUTED_IN.get(form, form) in self.flops_per_s

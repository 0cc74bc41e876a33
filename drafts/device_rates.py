"""How fast this machine reads weights and multiplies matrices: what an estimate needs to know of a device.

Run as `python -m drafts.device_rates DEVICE [TYPE]` (cpu or cuda; bfloat16 by default, or float32). Progress goes to stdout,
one JSON object a line ({"stage", "done", "total"}), then {"result": {...}}. A decoder's step is a row of matrix products, so that is what is timed: by rows, over more
matrices than any cache holds, as a model's layers are. A chain of the small operations of a layer, on next to no data, tells
what starting them takes.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
#: Inputs and outputs of one matrix: those of a layer of a model of about a billion parameters.
INPUTS, OUTPUTS = 2048, 5632
#: Bytes of all matrices together: several times the largest last-level cache.
SPREAD_BYTES = 1 << 30
PASSES = 5
_SMALL = 64
_LAYERS = 40


def measure(
    device: str, progress: Callable[[str, int, int], None], *, number_type: str = "bfloat16"
) -> dict[str, Any]:
    """Bytes/s of reading weights, operations/s by rows, and seconds that one layer's operations take to start.

    Medians over `PASSES` passes, in the type in which weights are served. Of a GPU its memory, too.
    """
    import torch

    wait = torch.cuda.synchronize if device == "cuda" else _nothing
    dtype = getattr(torch, number_type)
    matrix_bytes = INPUTS * OUTPUTS * dtype.itemsize
    count = max(4, SPREAD_BYTES // matrix_bytes)
    with torch.inference_mode():
        weights = [torch.randn(OUTPUTS, INPUTS, device=device, dtype=dtype) * 0.02 for _ in range(count)]
        seconds: dict[int, float] = {}
        for number, rows in enumerate(ROWS):
            progress(f"matrix products of {rows} rows", number, len(ROWS) + 1)
            given = torch.randn(rows, INPUTS, device=device, dtype=dtype)
            # Fewer matrices suffice where each takes longer: then no cache helps anyway.
            used = weights if rows <= 32 else weights[: max(4, count // 8)]
            seconds[rows] = _median_s(partial(_products, torch, given, used), wait) / len(used)
        for fewer, more in zip(reversed(ROWS[:-1]), reversed(ROWS[1:]), strict=True):
            # A product of fewer rows can be done as one of more; some libraries take a slower path for a single row.
            seconds[fewer] = min(seconds[fewer], seconds[more])
        progress("starting a layer's operations", len(ROWS), len(ROWS) + 1)
        layer_s = _layer_overhead_s(torch, device, dtype, wait)
    return {
        **_memory(torch, device),
        "device": device,
        "number_type": number_type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "bandwidth_bytes_per_s": max(matrix_bytes / seconds[rows] for rows in ROWS if rows <= 8),
        "rows_flops_per_s": {
            str(rows): 2.0 * rows * INPUTS * OUTPUTS / took for rows, took in seconds.items()
        },
        "layer_overhead_s": layer_s,
    }


def _memory(torch: Any, device: str) -> dict[str, float]:
    """Bytes that the GPU has; of a CPU the caller knows the machine's."""
    if device != "cuda":
        return {}
    return {"memory_bytes": float(torch.cuda.get_device_properties(0).total_memory)}


def _products(torch: Any, given: Any, weights: list[Any]) -> None:
    for weight in weights:
        torch.nn.functional.linear(given, weight)


def _layer_overhead_s(torch: Any, device: str, dtype: Any, wait: Callable[[], None]) -> float:
    """A layer's operations on rows of 64: four products, two norms, attention, a gate, two sums."""
    linear, norm = torch.nn.functional.linear, torch.nn.functional.rms_norm
    square = torch.randn(_SMALL, _SMALL, device=device, dtype=dtype)
    scale = torch.ones(_SMALL, device=device, dtype=dtype)

    def layers() -> None:
        x = torch.randn(1, _SMALL, device=device, dtype=dtype)
        for _ in range(_LAYERS):
            q = linear(norm(x, (_SMALL,), scale), square)[None, None]
            seen = torch.nn.functional.scaled_dot_product_attention(q, q, q)[0, 0]
            x = x + linear(seen, square)
            hidden = linear(norm(x, (_SMALL,), scale), square)
            x = x + linear(torch.nn.functional.silu(hidden) * hidden, square)

    return _median_s(layers, wait) / _LAYERS


def _median_s(work: Callable[[], object], wait: Callable[[], None]) -> float:
    work()  # the first time also allocates
    taken = []
    for _ in range(PASSES):
        wait()
        began_s = time.perf_counter()
        work()
        wait()
        taken.append(time.perf_counter() - began_s)
    return statistics.median(taken)


def _nothing() -> None:
    """A CPU has done its work when a call returns."""


def main(arguments: list[str]) -> int:
    """Measure and print; a failure's cause goes out as the last line's `error`."""
    try:
        more = {"number_type": arguments[1]} if len(arguments) > 1 else {}
        result = measure(
            arguments[0], lambda stage, done, total: _say(stage=stage, done=done, total=total), **more
        )
    except (
        ImportError,
        RuntimeError,
        MemoryError,
    ) as error:  # torch raises RuntimeError for whatever a device refuses
        _say(error=f"{type(error).__name__}: {error}")
        return 1
    _say(result=result)
    return 0


def _say(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

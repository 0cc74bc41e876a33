"""Percentiles that refuse to speak for too few samples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accounting.missing import Measured, measured, not_measured

CONFIDENCE = 0.99
#: What is quoted of every latency.
PERCENTILES = (0.5, 0.95, 0.99)


@cache
def sample_floor(quantile: float, confidence: float = CONFIDENCE) -> int:
    """Fewest samples at which a percentile may be quoted.

    The floor is the smallest n for which n samples with at most one of them above the true quantile would
    be improbable: P(Binomial(n, 1 - q) <= 1) <= 1 - confidence, i.e.
    q^n + n (1 - q) q^(n-1) <= 1 - confidence. This is the early-stopping bound of MLPerf Inference with
    one outlier allowed; at 99 % it gives p90 64, p95 130, p99 662.

    Raises:
        ValueError: if `quantile` is not strictly between 0 and 1.
    """
    if not 0.0 < quantile < 1.0:
        raise ValueError(f"a quantile lies strictly between 0 and 1, not {quantile}")
    n = 1
    while quantile**n + n * (1 - quantile) * quantile ** (n - 1) > 1 - confidence:
        n += 1
    return n


def percentile(samples: Sequence[float] | NDArray[np.floating], quantile: float) -> Measured:
    """The quantile of the samples (linear interpolation), or the reason why it cannot be quoted."""
    floor = sample_floor(quantile)
    if len(samples) < floor:
        return not_measured(f"{len(samples)} samples; p{quantile * 100:g} needs {floor}")
    return measured(float(np.quantile(np.asarray(samples), quantile)))


def quoted(samples: Sequence[float] | NDArray[np.floating]) -> dict[str, Any]:
    """`PERCENTILES` by name ("p50"), None below their floors; `samples`, and the `reason` for what is None."""
    names = {f"p{q * 100:g}": q for q in PERCENTILES}
    unquoted = [name for name, q in names.items() if len(samples) < sample_floor(q)]
    quotable = [name for name in names if name not in unquoted]
    found = np.quantile(np.asarray(samples), [names[name] for name in quotable]) if quotable else ()
    values = dict(zip(quotable, map(float, found), strict=True))
    needs = " and ".join(f"{name} needs {sample_floor(names[name])}" for name in unquoted)
    return {name: values.get(name) for name in names} | {
        "samples": len(samples),
        "reason": f"{len(samples)} samples; {needs}" if unquoted else None,
    }

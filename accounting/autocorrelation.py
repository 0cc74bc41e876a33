"""How much less a series of neighbours knows than as many independent values: AR(1), corrected for small samples.

Bins of one cell are not independent: a slow second is followed by a slow second. Without a correction a trend
test cries wolf in a third of such series. Sources: M. G. Kendall, Biometrika 41 (1954) and F. H. C. Marriott,
J. A. Pope, ibid. (bias of r1 around a mean and around a line); K. H. Hamed, A. R. Rao, J. Hydrology 204 (1998)
182 (variance of Mann-Kendall's S).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Beyond this a series of at most sixty bins cannot be told from a random walk, and no correction is honest.
MAXIMUM = 0.95


def first_order(residuals: NDArray[np.float64], *, fitted_parameters: int) -> float:
    """The lag-1 autocorrelation of residuals, corrected for its bias, between 0 and `MAXIMUM`.

    `fitted_parameters` is 1 where a mean was taken out, 2 where a line or two means were. Negative correlation
    counts as none: it would make a test bolder.

    Raises:
        ValueError: for fewer than six residuals.
    """
    n = len(residuals)
    if n < 6:
        raise ValueError(f"an autocorrelation needs at least six values, not {n}")
    centred = residuals - residuals.mean()
    total = float(centred @ centred)
    if total <= 0.0:
        return 0.0
    raw = float(centred[1:] @ centred[:-1]) / total
    corrected = (n * raw + 1) / (n - 3) if fitted_parameters == 1 else (n * raw + 2) / (n - 4)
    return min(max(corrected, 0.0), MAXIMUM)


def inflation_of_mean(phi: float) -> float:
    """By what factor an AR(1) series' mean has more variance than that of independent values: (1 + phi) / (1 - phi)."""
    return (1 + phi) / (1 - phi)


def inflation_of_rank_trend(phi: float, n: int) -> float:
    """By what factor Mann-Kendall's S of n values has more variance: Hamed & Rao (1998), eq. 17, with rho_k = phi^k."""
    lag = np.arange(1, n - 2)
    of_ranks = 6 / np.pi * np.arcsin(phi**lag / 2)
    weights = (n - lag) * (n - lag - 1.0) * (n - lag - 2.0)
    return 1 + 2 / (n * (n - 1.0) * (n - 2.0)) * float(weights @ of_ranks)

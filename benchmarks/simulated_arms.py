"""A/As and slowdowns simulated on recorded noise of pairs: how often the comparison's word is wrong, or found.

Noise is drawn in two ways: normal with the recorded standard deviation, and resampled from the recorded log-ratios: each
with a random sign, because which of two arms is called the baseline is arbitrary, and smoothed (B. W. Silverman, Density
Estimation (1986), 6.4.1, with his bandwidth), because a few recorded values are not all that there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from accounting.comparison import CONFIDENCE, MINIMUM_PAIRS, Word, compare_costs, log_estimate
from accounting.pairs_needed import POWER, pairs_needed, power_of_pairs

TRIES = 1000
LEVEL = 1 - CONFIDENCE
PAIR_COUNTS = (4, 5, 6, 10)
EFFECTS = (0.02, 0.05, 0.10)
CURVE_EFFECT = 0.02
CURVE_PAIRS = (4, 6, 8, 12, 16, 24, 32, 48, 64)
PILOT_PAIRS = 5

Rows = NDArray[np.float64]
Document = dict[str, Any]


def draw(kind: str, noise: Sequence[float], shape: tuple[int, int], dice: np.random.Generator) -> Rows:
    """Noise of pairs (log-ratios), `kind` "normal" or "resampled"."""
    recorded = np.asarray(noise)
    sd = math.sqrt(float((recorded**2).mean()))
    if kind == "normal":
        return dice.normal(0.0, sd, shape)
    width = 0.9 * len(recorded) ** -0.2
    values = dice.choice(recorded, shape) * dice.choice((-1.0, 1.0), shape)
    return (values + dice.normal(0.0, width * sd, shape)) / math.sqrt(1 + width**2)


def false_alarm_rows(noise: Sequence[float], *, seed: int = 21) -> list[Document]:
    """1,000 A/As for each way to draw and number of pairs: how many said cheaper or dearer.

    `limits` is the 99 % binomial band about the stated 5 %. Discrete or heavy-tailed noise may stay below it: Student's t is
    then conservative, and the row says so.
    """
    low, high = (int(edge) for edge in stats.binom.interval(0.99, TRIES, LEVEL))
    rows = []
    for kind in ("normal", "resampled"):
        for pairs in PAIR_COUNTS:
            dice = np.random.default_rng([seed, pairs, kind == "normal"])
            tries = draw(kind, noise, (TRIES, pairs), dice)
            alarms = sum(
                compare_costs(np.exp(row).tolist()).word in (Word.CHEAPER, Word.DEARER) for row in tries
            )
            rows.append(
                {
                    "noise": kind,
                    "pairs": pairs,
                    "tries": TRIES,
                    "alarms": alarms,
                    "limits": [low, high],
                    "inside": low <= alarms <= high,
                    "held": alarms <= high,
                }
            )
    return rows


def power_rows(noise: Sequence[float], *, seed: int = 22) -> list[Document]:
    """For each planted slowdown: the pairs that the recorded pilot asks for, and how often these find it.

    `asked` is the careful number of `pairs_needed` from all recorded pairs. `own_pilot` repeats the whole procedure: a pilot
    of five pairs of its own asks for a number, and as many new pairs are then judged.
    """
    rows = []
    for effect in EFFECTS:
        asked = pairs_needed(noise, effect).careful_pairs
        row: Document = {"slowdown": effect, "asked": asked, "tries": TRIES, "target": POWER}
        for kind in ("normal", "resampled"):
            dice = np.random.default_rng([seed, round(effect * 1000), kind == "normal"])
            row[kind] = None if asked is None else found_share(kind, noise, effect, asked, dice)
            row[f"{kind}_own_pilot"] = _own_pilot(kind, noise, effect, dice)
        # The first is the arithmetic tried out, the second what a user's own pilot of a few pairs gives.
        row["held"] = all(
            row[kind] is not None and row[kind] >= POWER and row[f"{kind}_own_pilot"]["found"] >= POWER
            for kind in ("normal", "resampled")
        )
        rows.append(row)
    return rows


def curve(noise: Sequence[float], *, effect: float = CURVE_EFFECT, seed: int = 23) -> list[Document]:
    """Share of tries that find a small slowdown, by the number of pairs; `expected` by the non-central t."""
    sd = math.sqrt(float((np.asarray(noise) ** 2).mean()))
    points = []
    for pairs in CURVE_PAIRS:
        dice = np.random.default_rng([seed, pairs])
        points.append(
            {
                "pairs": pairs,
                "expected": power_of_pairs(pairs, effect, sd),
                **{kind: found_share(kind, noise, effect, pairs, dice) for kind in ("normal", "resampled")},
            }
        )
    return points


def found_share(
    kind: str, noise: Sequence[float], effect: float, pairs: int, dice: np.random.Generator
) -> float:
    """Share of 1,000 tries in which so many pairs call an arm whose cost is 1 + `effect` times as high dearer."""
    tries = math.log1p(effect) + draw(kind, noise, (TRIES, pairs), dice)
    return sum(word_of(row) is Word.DEARER for row in tries) / TRIES


def word_of(log_ratios: Rows) -> Word:
    """The word of `compare_costs` without the sign-flip test, which takes most of its time."""
    pairs = len(log_ratios)
    error = float(np.std(log_ratios, ddof=1)) / math.sqrt(pairs)
    return log_estimate(float(np.mean(log_ratios)), error, pairs - 1, CONFIDENCE).word


def _own_pilot(
    kind: str, noise: Sequence[float], effect: float, dice: np.random.Generator
) -> Mapping[str, float]:
    pilots = math.log1p(effect) + draw(kind, noise, (TRIES, PILOT_PAIRS), dice)
    found, asked = 0, []
    for pilot in pilots:
        pairs = pairs_needed(pilot.tolist(), effect).careful_pairs or 10_000
        asked.append(max(pairs, MINIMUM_PAIRS))
        tries = math.log1p(effect) + draw(kind, noise, (1, asked[-1]), dice)
        found += word_of(tries[0]) is Word.DEARER
    return {"found": found / TRIES, "median_pairs": float(np.median(asked))}

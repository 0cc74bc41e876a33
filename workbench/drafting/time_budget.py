"""How long each stage of making a draft may take: check and comparison take what they take, the rest is asking and training."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from accounting.errors import ConfigError

#: A server of the target with a draft, from the command to its first answer, and its greedy texts; of two slow cores.
START_S = 75.0
CHECK_S = START_S + 150.0
#: A cell: warm-up, ramp, window, drain; and the texts of a losslessness verdict, once an arm.
CELL_S = 40.0
TEXTS_S = 60.0
REPEATS = 4
#: Of what is left after them, the share in which the target answers.
ASKING_SHARE = 0.4
LEAST_S = 600.0


@dataclass(frozen=True, slots=True)
class Shares:
    """Seconds of each stage; training includes what the target says of each answer."""

    asking_s: float
    training_s: float
    check_s: float
    comparison_s: float


def parse_budget(text: str) -> float:
    """`90m`, `1h30m`, `2h` or `5400s` in seconds.

    Raises:
        ConfigError: if it is none.
    """
    found = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    seconds = (
        sum(float(part or 0) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True))
        if found
        else 0.0
    )
    if seconds <= 0:
        raise ConfigError(f"--budget {text!r} is no time.", hint="Write 90m, 2h or 1h30m.")
    return seconds


def shares(budget_s: float, *, workloads: int, compared: bool) -> Shares:
    """Divide the budget.

    Raises:
        ConfigError: if it leaves less than ten minutes for asking and training.
    """
    comparison_s = 2 * (REPEATS * (START_S + workloads * CELL_S) + TEXTS_S) if compared else 0.0
    left_s = budget_s - CHECK_S - comparison_s
    if left_s < LEAST_S:
        needed = (CHECK_S + comparison_s + LEAST_S) / 60
        raise ConfigError(
            f"--budget: {budget_s / 60:.0f} minutes are too few: check{' and comparison' if compared else ''} take about "
            f"{(CHECK_S + comparison_s) / 60:.0f}, and asking and training at least {LEAST_S / 60:.0f}.",
            hint=f"Give --budget {math.ceil(needed)}m or more" + (", or --no-compare." if compared else "."),
        )
    asking_s = ASKING_SHARE * left_s
    return Shares(asking_s, left_s - asking_s, CHECK_S, comparison_s)

"""What a run knows of its arms' answers as plain rows, and as the words that go beside a win."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from accounting.errors import RunError
from accounting.losslessness import LosslessnessWord
from workbench.experiment import Experiment
from workbench.run_directory import RunDirectory

Row = dict[str, Any]
PASSED = (LosslessnessWord.LOSSLESS, LosslessnessWord.WITHIN_NOISE)


def losslessness_rows(run: RunDirectory, experiment: Experiment) -> list[Row]:
    """One row per speculating arm and dtype, in the order of the arms.

    Keys: arm, dtype, word, texts, agreeing, excused, unexcused, power (None where nothing was compared), reason. The
    word is a `LosslessnessWord`, `not measured` or `not asked`; with these two no text was compared.

    Raises:
        RunError: if a file of the stage is damaged.
    """
    return [row for arm in experiment.arms for row in _rows_of(run, arm)]


def _rows_of(run: RunDirectory, arm: str) -> Iterator[Row]:
    path = run.path / "losslessness" / f"{arm}.json"
    if not path.is_file():
        return
    try:
        judgements = json.loads(path.read_text(encoding="utf-8"))["judgements"]
        for judged in judgements:
            found = judged.get("candidate", {})
            counts = {key: found.get(key, 0) for key in ("texts", "agreeing", "excused", "unexcused")}
            said = {"dtype": judged["dtype"], "word": judged["word"], "reason": judged["reason"]}
            yield {"arm": arm, **said, **counts, "power": found.get("power")}
    except (OSError, ValueError, KeyError) as error:
        raise RunError(
            f"{path} cannot be read: {error}", hint=f"`kilotoken report {run.path}` makes it again."
        ) from error


def words_beside_a_win(rows: Sequence[Row], arm: str, *, won: bool) -> str:
    """A sentence on an arm's answers: always if they are wrong, else where the arm won; empty for an arm without rows."""
    own = [row for row in rows if row["arm"] == arm]
    lossy = [row for row in own if row["word"] == LosslessnessWord.LOSSY]
    if lossy:
        places = _listed([row["dtype"] for row in lossy])
        return f"{arm} is lossy ({places}): its answers are not the baseline's."
    if not own or not won:
        return ""
    known = _listed([f"{row['word']} ({row['dtype']})" for row in own])
    if any(row["word"] in PASSED for row in own):
        return f"{arm}'s answers are the baseline's: {known}."
    return f"That {arm}'s answers are the baseline's is not proved: {known}."


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

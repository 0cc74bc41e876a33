"""What checks found of a draft, kept in its own directory: a draft that failed is not served by accident.

`kilotoken-check.json` is written by `kilotoken draft check`. A check speaks of one target and of the files that were checked: of
others in their place it says nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "kilotoken-check.json"
FORMAT = "kilotoken-draft-check/1"
#: A file is told by its size and by pieces of it: gigabytes are not hashed at each start.
_PIECES, _PIECE_BYTES = 64, 1 << 16


@dataclass(frozen=True, slots=True)
class DraftVerdict:
    """`problems` is empty where the draft passed; `checked_at` as it was written."""

    problems: tuple[str, ...]
    checked_at: str

    def failure(self, draft: str) -> str | None:
        """A sentence that says how the check failed, by the name that a user gave the draft; None where it passed."""
        if not self.problems:
            return None
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        first = self.problems[0].rstrip(".")
        return f"{draft} failed `kilotoken draft check` on {self.checked_at[:10]}: {first}{more}."


def checkpoint_mark(directory: Path) -> str:
    """What config and weights of a checkpoint are told by; empty where there are none.

    Raises:
        OSError: if a file cannot be read.
    """
    paths = [directory / "config.json", *directory.glob("*.safetensors")]
    whole = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file():
            whole.update(f"{path.name}\n".encode())
            _add_pieces(whole, path)
    return whole.hexdigest()[:32]


def keep_verdict(
    directory: Path,
    target: Path,
    *,
    problems: Sequence[str],
    live_problems: Sequence[str],
    live_asked: bool,
    checked_at: str,
    more: Mapping[str, Any],
) -> None:
    """Write it beside the weights, in place of an earlier one of the same target.

    Args:
        live_problems: of the problems, those that a live server showed. Where none was asked (`live_asked`), what an earlier
            check of the same files saw of one still holds.

    Raises:
        OSError: if the directory cannot be written.
    """
    mark, target_mark = checkpoint_mark(directory), checkpoint_mark(target)
    checks = _checks(directory, mark)
    if not live_asked:
        live_problems = checks.get(target_mark, {}).get("live_problems", [])
    problems = list(dict.fromkeys([*problems, *live_problems]))
    checks[target_mark] = {
        "checked_at": checked_at, "passed": not problems, "problems": problems,
        "live_problems": list(live_problems), **more,
    }  # fmt: skip
    fresh = directory / f"{FILE}.new"
    document = {"format": FORMAT, "mark": mark, "targets": checks}
    fresh.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    fresh.replace(directory / FILE)


def kept_verdicts(directory: Path, mark: str) -> dict[str, DraftVerdict]:
    """Target's mark -> what a check found of the files that lie here now, which `mark` tells; empty where nothing is known."""
    return {
        target: DraftVerdict(tuple(check["problems"]), check["checked_at"])
        for target, check in _checks(directory, mark).items()
    }


def _checks(directory: Path, mark: str) -> dict[str, dict[str, Any]]:
    try:
        document = json.loads((directory / FILE).read_text(encoding="utf-8"))
        checks = {
            str(target): dict(check)
            for target, check in document["targets"].items()
            if isinstance(check["problems"], list) and isinstance(check["checked_at"], str)
        }
        return checks if document["mark"] == mark else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _add_pieces(whole: hashlib._Hash, path: Path) -> None:
    size = path.stat().st_size
    whole.update(f"{size}\n".encode())
    with path.open("rb") as file:
        for number in range(_PIECES):
            file.seek(max(0, size - _PIECE_BYTES) * number // (_PIECES - 1))
            whole.update(file.read(_PIECE_BYTES))

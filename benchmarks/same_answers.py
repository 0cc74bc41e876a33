"""How many prompts that two arms of a run both answered got the same text? `same_answers.py RUN ARM ARM`.

Texts are compared by their SHA-256, which every record carries; the same repeat, so the same order and load.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

_QUERY = "SELECT prompt_id, text_sha256 FROM read_parquet(?) WHERE phase = 'measured' AND outcome = 'ok'"


def answers(run: Path, arm: str) -> dict[tuple[str, str, str], str]:
    """(repeat, cell, prompt) -> hash of the answer's text."""
    found = {}
    for path in sorted(run.glob(f"blocks/r*-{arm}.*/cells/*/requests.parquet")):
        block, cell = path.parents[2].name, path.parent.name
        for prompt, digest in duckdb.execute(_QUERY, [str(path)]).fetchall():
            found[block.split("-")[0], cell, prompt] = digest
    return found


def main(run: str, first: str, second: str) -> int:
    """Print the two counts."""
    one, other = answers(Path(run), first), answers(Path(run), second)
    common = sorted(one.keys() & other.keys())
    same = sum(one[key] == other[key] for key in common)
    print(f"{same} of {len(common)} prompts that both answered got the same text")
    return 0 if common else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))

"""The greedy answers of one pass as a file: a line of facts, then a line per prompt, for a person and for the judgement.

    {"format": ..., "arm": "ngram", "pass": "first", "dtype": "bfloat16", "concurrency": 8, ..., "reason": ""}
    {"prompt": "copy-17", "text": ..., "token_ids": [...], "others": [[[id, gap], ...], ...], ...}

`others` are the likeliest other tokens of each position with their gaps in nats, the runner-up (the margin) first.
A pass that could not be made has the line of facts only, and in it the reason.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounting.errors import RunError
from accounting.greedy_texts import GreedyText
from loadtest.workloads import Prompt
from workbench.losslessness_asking import GreedyAnswer

FORMAT = "kilotoken-greedy-answers/1"
FIRST, AGAIN = "first", "again"
_DECIMALS = 9  # of a gap in nats: far below float32's own noise


@dataclass(frozen=True, slots=True)
class RecordedPass:
    """One pass as it was recorded. `prompts` holds, in order, each prompt's id and a digest of its tokens."""

    facts: Mapping[str, Any]
    prompts: tuple[tuple[str, str], ...]
    texts: tuple[GreedyText, ...]

    @property
    def reason(self) -> str:
        """Why there are no answers; empty where there are."""
        return str(self.facts["reason"])


def pass_file(attempt: Path, name: str) -> Path:
    """Where the pass `first` or `again` of a server life lies."""
    return attempt / "losslessness" / f"{name}.jsonl"


def write_pass(
    path: Path, facts: Mapping[str, Any], prompts: Sequence[Prompt], answers: Sequence[GreedyAnswer]
) -> None:
    """Write a pass, answers in the order of `prompts`."""
    _write_lines(path, [_head(facts, ""), *map(_line, prompts, answers)])


def write_missing(path: Path, facts: Mapping[str, Any], reason: str) -> None:
    """Write that a pass could not be made, and why."""
    _write_lines(path, [_head(facts, reason)])


def read_pass(path: Path) -> RecordedPass | None:
    """Read a pass; None where there is no such file.

    Raises:
        RunError: if the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        facts, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        prompts = tuple((line["prompt"], line["prompt_sha256"]) for line in lines)
        texts = tuple(_text(line) for line in lines)
        if facts["format"] != FORMAT or bool(texts) == bool(facts["reason"]):
            raise ValueError(f"it is no whole file of the format {FORMAT}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} cannot be read: {error}.") from error
    return RecordedPass(facts, prompts, texts)


def _head(facts: Mapping[str, Any], reason: str) -> dict[str, Any]:
    return {"format": FORMAT, **facts, "reason": reason}


def _line(prompt: Prompt, answer: GreedyAnswer) -> dict[str, Any]:
    return {
        "prompt": prompt.prompt_id,
        "text": answer.written,
        "token_ids": list(answer.text.token_ids),
        "others": [
            [[token, round(gap, _DECIMALS)] for token, gap in others] for others in answer.text.others
        ],
        "prompt_tokens": len(answer.prompt_token_ids),
        "prompt_sha256": hashlib.sha256(str(answer.prompt_token_ids).encode()).hexdigest()[:16],
    }


def _text(line: Mapping[str, Any]) -> GreedyText:
    others = tuple(tuple((int(token), float(gap)) for token, gap in each) for each in line["others"])
    return GreedyText(tuple(line["token_ids"]), others)


def _write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
    )
    partial.replace(path)

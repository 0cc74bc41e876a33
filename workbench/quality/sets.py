"""Which items a set's name stands for: the two packaged sets (data/SOURCES.md), or a file of the user's own."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError
from workbench.quality.items import CodeTest, Judging, QualityItem, QualitySet
from workbench.quality.user_file import read_items

GSM8K_TOKENS = 400  # the longest reference solution has about 350
HUMANEVAL_TOKENS = 384  # the longest canonical solution has about 300

_ASK_GSM8K = "\n\nSolve this step by step. End with a line that holds #### and the resulting number."
_CALCULATOR = re.compile(r"<<[^>]*>>")
#: A function is over where something else begins at the left margin. OpenAI's interface takes four of them.
_AFTER_A_FUNCTION = ("\nclass ", "\ndef ", "\nif ", "\nprint(")


def load_set(name: str, *, base_dir: Path) -> QualitySet:
    """The set that `name` means: gsm8k, humaneval, or a .jsonl file (`user_file` says what a line holds).

    Raises:
        ConfigError: if it is none of them, or the file cannot be used.
    """
    if name in _PACKAGED:
        return _packaged(name)
    path = base_dir / Path(name).expanduser()
    if path.suffix != ".jsonl" and not path.is_file():
        raise ConfigError(
            f"--set {name!r}: allowed are {', '.join(_PACKAGED)}, or a .jsonl file that exists."
        )
    raw, items = read_items(path)
    digest = hashlib.sha256(raw).hexdigest()
    return QualitySet(path.name, f"{_safe(path.stem)}@{digest[:12]}", f"{path.name}, sha256 {digest}", items)


def _packaged(name: str) -> QualitySet:
    packed = (files("workbench.quality") / "data" / f"{name}.jsonl.gz").read_bytes()
    source, item_of = _PACKAGED[name]
    lines = gzip.decompress(packed).decode("utf-8").splitlines()
    items = tuple(item_of(index, json.loads(line)) for index, line in enumerate(lines))
    return QualitySet(name, name, source, items)


def _gsm8k(index: int, line: dict[str, Any]) -> QualityItem:
    solution = _CALCULATOR.sub("", line["answer"])
    return QualityItem(
        item_id=f"gsm8k-{index:04d}",
        reference=solution,
        expected=solution.rpartition("####")[2].strip(),
        judging=Judging.LAST_NUMBER,
        max_tokens=GSM8K_TOKENS,
        messages=(("user", line["question"] + _ASK_GSM8K),),
    )


def _humaneval(_index: int, line: dict[str, Any]) -> QualityItem:
    return QualityItem(
        item_id=line["task_id"],
        reference=line["canonical_solution"],
        expected=line["canonical_solution"],
        judging=Judging.CODE,
        max_tokens=HUMANEVAL_TOKENS,
        prompt=line["prompt"],
        stop=_AFTER_A_FUNCTION,
        code_test=CodeTest(line["test"], line["entry_point"]),
    )


_PACKAGED: dict[str, tuple[str, Callable[[int, dict[str, Any]], QualityItem]]] = {
    "gsm8k": ("openai/grade-school-math 3101c7d, test set, MIT", _gsm8k),
    "humaneval": ("openai/human-eval 6d43fb9, MIT", _humaneval),
}


def _safe(stem: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")[:48] or "file"

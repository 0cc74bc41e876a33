"""A checkpoint with its layers several times over: a deeper model of the same width, for timing and not for its answers.

Run as `python -m drafts.deeper_checkpoint SOURCE TIMES TARGET`. Two models that differ in depth alone tell what an engine
takes for a layer from what it takes for a step. Progress and a failure's cause go to stdout, one JSON object a line.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from drafts.child_words import say, told

_LAYER = re.compile(r"(?P<before>(?:.*\.)?layers\.)(?P<number>\d+)(?P<after>\..*)")
_WEIGHTS = "model.safetensors"
_STEPS = 2


def repeated_names(name: str, depth: int, times: int) -> list[str]:
    """Under which names a tensor of a model of `depth` layers stands in one of `times` as many."""
    found = _LAYER.fullmatch(name)
    if found is None:
        return [name]
    number = int(found["number"])
    return [f"{found['before']}{number + again * depth}{found['after']}" for again in range(times)]


def deepen(source: Path, times: int, target: Path) -> None:
    """Write the checkpoint in `source` (one safetensors file) with its layers `times` over into the directory `target`.

    Raises:
        ValueError: if its weights are not in one file, or it does not say how many layers it has.
    """
    say(stage="reading weights", done=0, total=_STEPS)
    from safetensors.torch import load_file, save_file

    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    depth = config.get("num_hidden_layers")
    if not isinstance(depth, int) or not (source / _WEIGHTS).is_file():
        raise ValueError(f"{source} has no {_WEIGHTS}, or its config.json no num_hidden_layers")
    weights = {
        # A clone each: the file format refuses names that share memory.
        new: tensor.clone()
        for name, tensor in load_file(source / _WEIGHTS).items()
        for new in repeated_names(name, depth, times)
    }
    say(stage="writing weights", done=1, total=_STEPS)
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.is_file() and file.suffix == ".json":
            shutil.copyfile(file, target / file.name)
    deeper = json.dumps(config | {"num_hidden_layers": depth * times}, indent=2)
    (target / "config.json").write_text(deeper + "\n", encoding="utf-8")
    save_file(weights, target / _WEIGHTS, metadata={"format": "pt"})


def main(arguments: list[str]) -> int:
    """Deepen, or say on stdout why not."""
    source, times, target = arguments
    return told(lambda: deepen(Path(source), int(times), Path(target)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Which of the names that we rely on does an installed vLLM's source no longer hold? Read as text, not imported."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from serving.vllm_names import EngineNames

_FLAG = re.compile(r"[\"'](--[a-z][a-z0-9-]+)[\"']")
_METRIC = re.compile(r"[\"'](vllm:[a-z0-9_]+)[\"']")
#: Endings that prometheus_client adds to a metric's name on the page.
_SAMPLE_ENDINGS = ("_total", "_count", "_sum")


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """Names that our table has and the engine's source has not; both empty when all are there."""

    flags: tuple[str, ...]
    metrics: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """In words; empty when everything was recognised."""
        parts = [
            f"{kind} {', '.join(names)}"
            for kind, names in (("flags", self.flags), ("metrics", self.metrics))
            if names
        ]
        return f"not found in its source: {'; '.join(parts)}" if parts else ""


def engine_source() -> Path | None:
    """Directory of the installed vLLM package, None where there is none. Nothing is imported."""
    spec = importlib.util.find_spec("vllm")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def unrecognised(names: EngineNames, source: Path) -> Unrecognised:
    """Compare a table of names with a vLLM source tree: its argument parsers and its metrics."""
    arguments = _text(source / "engine" / "arg_utils.py", *(source / "entrypoints").rglob("cli_args.py"))
    flags = set(_FLAG.findall(arguments))
    metrics = set(
        _METRIC.findall(_text(*(source / "v1").rglob("metrics/*.py"), *(source / "v1").rglob("metrics.py")))
    )
    wanted = [option.flag for option in names.options] + [names.model_flag, names.speculative_flag]
    return Unrecognised(
        tuple(flag for flag in wanted if flag not in flags),
        tuple(name for name in names.metrics if _base(name) not in metrics and name not in metrics),
    )


def _base(name: str) -> str:
    for ending in _SAMPLE_ENDINGS:
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name


def _text(*paths: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file())

"""What was declared and became something else: vLLM changes settings without a word that a reader would see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.command import OURS_ALONE, declared_value
from serving.config import ServerConfig
from serving.speculation import CustomClassSpeculation, ModelDraft, NoSpeculation
from serving.vllm_names import EngineNames

#: Declared values that leave the decision to the engine.
_LEFT_TO_ENGINE = (None, "auto")
#: Where the engine spells a value otherwise.
_SPELLINGS = {"torch.bfloat16": "bfloat16", "torch.float16": "float16", "torch.float32": "float32"}


@dataclass(frozen=True, slots=True)
class Departure:
    """A field that the engine resolved otherwise than declared; `resolved` is None where it is gone."""

    field: str
    declared: Any
    resolved: Any

    @property
    def sentence(self) -> str:
        """In words, for a report."""
        return f"{self.field} was declared as {self.declared!r} and the engine runs with {self.resolved!r}"


def departures(config: ServerConfig, resolved: Mapping[str, Any], names: EngineNames) -> list[Departure]:
    """Declared against resolved (flat, as `serving.resolved` gives it); empty where nothing was read back."""
    if not resolved:
        return []
    found = []
    for option in names.options:
        declared = declared_value(config, option.field)
        if option.resolved is None or declared in _LEFT_TO_ENGINE or option.resolved not in resolved:
            continue
        actual = _spelled(resolved[option.resolved])
        if not _same(declared, actual):
            found.append(Departure(option.field, declared, actual))
    return found + _speculation_departures(config, resolved)


def _speculation_departures(config: ServerConfig, resolved: Mapping[str, Any]) -> list[Departure]:
    speculation = config.speculation
    if isinstance(speculation, NoSpeculation):
        return []
    # A directory, a length (it becomes rates), a backend (a name of the engine's own): these differ by design.
    by_design = OURS_ALONE | {
        "synthetic_acceptance_rates",
        "synthetic_acceptance_length",
        "attention_backend",
    }
    by_design |= {"model"} if isinstance(speculation, ModelDraft | CustomClassSpeculation) else set()
    declared = speculation.model_dump(exclude_none=True, exclude=by_design)
    found = []
    for name, value in declared.items():
        # The only tuple that is left is the schedule; the engine reports it in lists.
        plain = [list(entry) for entry in value] if isinstance(value, tuple) else value
        actual = resolved.get(f"speculative_config.{name}")
        if not _same(plain, actual):
            found.append(Departure(f"speculation.{name}", plain, actual))
    return found


def _spelled(value: Any) -> Any:
    return _SPELLINGS.get(value, value) if isinstance(value, str) else value


def _same(declared: Any, actual: Any) -> bool:
    if isinstance(declared, bool) or isinstance(actual, bool):
        return declared is actual
    if isinstance(declared, int | float) and isinstance(actual, int | float):
        return float(declared) == float(actual)
    return bool(declared == actual)

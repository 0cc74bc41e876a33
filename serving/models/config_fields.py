"""Reads settings of a config.json by their type, and names all that are missing or wrong in one message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from accounting.errors import ModelError
from serving.models.checkpoint_facts import CheckpointFacts

#: What other families, or other versions of transformers, call the same setting.
_ALSO = {
    "hidden_size": ("n_embd", "n_embed"),
    "max_position_embeddings": ("n_positions", "seq_length"),
    "num_attention_heads": ("n_head",),
    "num_experts": ("num_local_experts",),
    "num_experts_per_tok": ("num_experts_per_token", "experts_per_token"),
    "num_hidden_layers": ("n_layer",),
    "num_local_experts": ("num_experts",),
    "num_kv_heads": ("n_head_kv",),
}

#: More layers than any model has: a config.json that says so must not be counted layer by layer.
_MOST_LAYERS = 10_000

Entry = TypeVar("Entry")


class ConfigFields:
    """The settings of one config.json, read as one family.

    A setting that is missing or wrong is noted and stands as 1, so that reading goes on and `check` can name them all.
    `defaults`: what the family takes where the file leaves a setting out; those used are noted in `assumed`.
    """

    def __init__(
        self, facts: CheckpointFacts, family: str, defaults: Mapping[str, int] | None = None
    ) -> None:
        self.facts = facts
        self.family = family
        self.assumed: dict[str, int] = {}
        self._defaults = defaults or {}
        self._missing: dict[str, None] = {}
        self._wrong: dict[str, None] = {}
        self._read: set[str] = set()

    def raw(self, name: str) -> Any:
        """A setting as it stands, under whichever of its names; None if it is absent or null."""
        return self.facts.value(self.called(name))

    def called(self, name: str) -> str:
        """The name under which this file has the setting; `name` itself if it has none."""
        names = (name, *_ALSO.get(name, ()))
        self._read.update(names)
        return next((known for known in names if self.facts.value(known) is not None), name)

    def count(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        """A whole number of at least `least`; without a default it must be there."""
        value = self.raw(name)
        if value is not None:
            return self._counted(name, value, least)
        if name in self._defaults:
            self.assumed[name] = self._defaults[name]
            return self._defaults[name]
        if default is None:
            self._missing[self._wanted(name)] = None
        return 1 if default is None else default

    def layers(self) -> int:
        """How many layers there are."""
        layers = self.count("num_hidden_layers")
        if layers <= _MOST_LAYERS:
            return layers
        self.reject(f"num_hidden_layers is {layers:,} where at most {_MOST_LAYERS:,} are read")
        return 1

    def optional(self, name: str, *, least: int = 1) -> int | None:
        """The same for one that may be absent or null."""
        value = self.raw(name)
        return None if value is None else self._counted(name, value, least)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.reject(f"{name} must be true or false, not {value!r}")
        return default

    def listed(self, name: str, kind: type[Entry]) -> list[Entry] | None:
        """A list of text or numbers; None if it is absent or null."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, list | tuple) and all(isinstance(entry, kind) for entry in value):
            return list(value)
        self.reject(f"{name} must be a list of {kind.__name__}, not {value!r}")
        return None

    def holding(self, *parts: str) -> tuple[list[str], list[str]]:
        """Settings that say something and whose names hold one of these parts: those that were read, and those that were not."""
        said = {**self.facts.language_part, **self.facts.config}
        named = sorted(
            name
            for name, value in said.items()
            if any(part in name for part in parts) and value not in (None, False, 0, 1, [])
        )
        return [name for name in named if name in self._read], [
            name for name in named if name not in self._read
        ]

    def reject(self, problem: str) -> None:
        """Note what is wrong."""
        self._wrong[problem] = None

    @property
    def sound(self) -> bool:
        """Whether nothing is missing or wrong so far."""
        return not self._missing and not self._wrong

    def check(self) -> None:
        """Raise ModelError that names every setting which is missing or wrong."""
        if self.sound:
            return
        lacks = [f"it lacks {', '.join(self._missing)}"] if self._missing else []
        raise ModelError(
            f"{self.facts.name or 'The model'}: its config.json, read as {self.family}, cannot be used: "
            + "; ".join([*lacks, *self._wrong])
            + ".",
            hint="Compare it with the config.json that the model's authors publish.",
        )

    def _counted(self, name: str, value: Any, least: int) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        self.reject(f"{self.called(name)} must be a whole number of at least {least}, not {value!r}")
        return 1

    def _wanted(self, name: str) -> str:
        """How a missing setting is named: null is said, and what else it may be called."""
        names = (name, *_ALSO.get(name, ()))
        nulls = [known for known in names if known in self.facts.language_part]
        if nulls:
            return f"{nulls[0]} (null)"
        return name if len(names) == 1 else f"{name} (or {', '.join(names[1:])})"

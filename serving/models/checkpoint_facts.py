"""What a checkpoint says of itself before anything is loaded: its config.json, tensor shapes and vocabulary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accounting.errors import ModelError
from serving.models.draft_verdict import DraftVerdict, checkpoint_mark, kept_verdicts

#: Where model families keep the language model's own settings inside a larger config.json.
_NESTED = ("text_config", "transformer_layer_config", "llm_config", "language_config")


#: How tokenizers write a space that begins a word: BPE and SentencePiece.
_SPACE_MARKS = ("\u0120", "\u2581")


@dataclass(frozen=True)
class CheckpointFacts:
    """A checkpoint's own statements. `tokens` maps text to id, empty where there is no readable tokenizer.json.

    `shapes` are the tensors' shapes by name, from the safetensors headers; no weight is read.
    """

    name: str
    config: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)
    mark: str = ""
    """What its files are told by (`serving.models.draft_verdict`)."""
    verdicts: Mapping[str, DraftVerdict] = field(default_factory=dict)
    """What `kilotoken draft check` found of it as a draft of a target, by the target's mark."""

    def value(self, key: str) -> Any:
        """A setting from the top of config.json, else from the language model's part of it; None if absent."""
        if key in self.config:
            return self.config[key]
        for part in _NESTED:
            inner = self.config.get(part)
            if isinstance(inner, Mapping) and key in inner:
                return inner[key]
        return None

    def integer(self, key: str) -> int | None:
        """The same for a whole number; None if it is absent or something else."""
        value = self.value(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def language_part(self) -> Mapping[str, Any]:
        """The language model's part of a larger config.json; all of it where there is no such part."""
        inner = (self.config.get(part) for part in _NESTED)
        return next((part for part in inner if isinstance(part, Mapping)), self.config)

    @property
    def head_size(self) -> int | None:
        """Width of one attention head; None if config.json does not say."""
        width, heads = self.integer("hidden_size"), self.integer("num_attention_heads")
        return self.integer("head_dim") or (width // heads if width and heads else None)

    @property
    def architectures(self) -> tuple[str, ...]:
        """Class names that config.json asks for."""
        return tuple(self.config.get("architectures") or ())

    @property
    def speculators_type(self) -> str | None:
        """`eagle3`, `dflash`, ... where the file is in the speculators format, else None."""
        kind = self.config.get("speculators_model_type")
        return str(kind) if kind else None

    @property
    def is_head(self) -> bool:
        """Whether this is a head for another model and no language model of its own.

        Some heads carry their layer's plain architecture name: then the tensor that joins the target's hidden
        states tells.
        """
        heads = ("eagle", "medusa", "dflash", "dspark", "speculator", "mtp")
        said = " ".join((*self.architectures, str(self.config.get("model_type", "")))).lower()
        joins = any(name.removeprefix("model.") in ("fc.weight", "d2t") for name in self.shapes)
        return self.speculators_type is not None or joins or any(word in said for word in heads)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of a tensor, with or without the prefix `model.`; None if it is not there."""
        return self.shapes.get(name) or self.shapes.get(f"model.{name}")


def common_tokens(first: CheckpointFacts, second: CheckpointFacts) -> int:
    """How many tokens both know, as vLLM's vocabulary mapping counts: the mark of a leading space is a space."""
    return len(_plain(first.tokens) & _plain(second.tokens))


def _plain(tokens: Mapping[str, int]) -> set[str]:
    return {f" {text[1:]}" if text[:1] in _SPACE_MARKS else text for text in tokens}


def read_checkpoint_facts(directory: Path, *, name: str = "") -> CheckpointFacts:
    """Read a checkpoint directory; `name` is what a user calls it, by default the directory's name.

    Raises:
        ModelError: if config.json is missing or damaged; a damaged safetensors header too.
    """
    path = directory / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} holds {type(config).__name__} where an object is expected.")
    tokens = _tokens(directory / "tokenizer.json")
    shapes, mark = _shapes(directory), checkpoint_mark(directory)
    verdicts = kept_verdicts(directory, mark)
    return CheckpointFacts(name or directory.name, config, shapes, tokens, mark=mark, verdicts=verdicts)


def _shapes(directory: Path) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(directory.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            shapes |= {n: tuple(t["shape"]) for n, t in header.items() if n != "__metadata__"}
        except (OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError) as error:
            raise ModelError(f"{path} has a damaged safetensors header: {error!r}") from error
    return shapes


def _tokens(path: Path) -> dict[str, int]:
    """Text -> id of a tokenizer.json; empty where it is missing or of a kind that keeps no such table."""
    try:
        tokenizer = json.loads(path.read_bytes())
        vocabulary = tokenizer["model"]["vocab"]
        added = {entry["content"]: entry["id"] for entry in tokenizer.get("added_tokens", [])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    if isinstance(vocabulary, list):  # unigram: pairs of text and score, the id is the place
        vocabulary = {entry[0]: number for number, entry in enumerate(vocabulary)}
    return {**vocabulary, **added}

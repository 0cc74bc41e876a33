"""Which settings change the numbers that come out, as one fingerprint: two servers with the same one owe no
quality score against one another.

Batching, caching, parallelism and lossless speculation reorder sums and may turn a near-tie, but mean to compute
the same; they are left out on purpose. Weights, their type, quantisation, the KV cache's type and what
replaces the model's own choice of tokens are in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from accounting.errors import ModelError
from serving.config import ServerConfig
from serving.models.cache import cache_root
from serving.models.catalogue import HubId, LocalPath, Packaged, QuantisedCopy, Shipped, classify_model
from serving.models.copies import copy_names, read_copy
from serving.models.hub_cache import find_snapshot, hub_cache_root

_EDGE_BYTES = 1 << 20

#: Arguments in `engine.extra_args` that change the numbers, by vLLM's names; `-q` is short for --quantization.
_NUMERIC_FLAGS = frozenset(
    [
        "--calculate-kv-scales",
        "--chat-template",
        "--config-format",
        "--dtype",
        "--enable-lora",
        "--generation-config",
        "--hf-overrides",
        "--kv-cache-dtype",
        "--load-format",
        "--logits-processors",
        "--lora-modules",
        "--model",
        "--model-impl",
        "--override-generation-config",
        "--quantization",
        "--revision",
        "--tokenizer",
    ]
)


@dataclass(frozen=True, slots=True)
class Numerics:
    """The settings that decide the numbers, by name, in words that are compared for equality only."""

    facts: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits; equal for equal facts."""
        text = json.dumps(self.facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def difference(self, other: Numerics) -> list[str]:
        """Names of the settings in which the two differ, sorted."""
        names = sorted({*self.facts, *other.facts})
        return [name for name in names if self.facts.get(name) != other.facts.get(name)]


def numerics_of(config: ServerConfig, *, base_dir: Path, root: Path | None = None) -> Numerics:
    """What decides the numbers of a server that is started from this configuration.

    A local checkpoint counts by its contents: config.json whole, and of each weight file its size and its first
    and last MiB. A hub repository counts by the commit that is on this machine, or by the revision asked for
    where none is. `root` is kilotoken's cache directory, by default the user's own.

    Raises:
        ModelError: if the model's name means nothing.
    """
    return Numerics(_facts(config, _model_identity(config, base_dir, root or cache_root())))


def declared_difference(config: ServerConfig, other: ServerConfig) -> list[str]:
    """Names of the settings that change the numbers and differ, as declared: of a model its name counts.

    Needs no model on this machine.
    """
    ours, theirs = (Numerics(_facts(each, each.model.name)) for each in (config, other))
    return ours.difference(theirs)


def _facts(config: ServerConfig, model: str) -> dict[str, str]:
    given = {
        "model.quantization": config.model.quantization,
        "kv_cache.dtype": None if config.kv_cache.dtype == "auto" else config.kv_cache.dtype,
        "model.generation_config": _unless(config.model.generation_config, "vllm"),
        "speculation.rejection_sample_method": _lossy_acceptance(config),
        "engine.extra_args": " ".join(_numeric_arguments(config.engine.extra_args)) or None,
    }
    facts = {"model": model, "model.dtype": config.model.dtype}
    return facts | {name: value for name, value in given.items() if value is not None}


def numerics_of_url(url: str, model: str | None) -> Numerics:
    """Of a server that somebody else started: what it computes is not known, so it is only ever equal to itself."""
    return Numerics({"url": url.rstrip("/").removesuffix("/v1"), "model": model or "the first one served"})


def _model_identity(config: ServerConfig, base_dir: Path, root: Path) -> str:
    if config.engine.device == "fake":
        return f"fake server, {config.model.name}"
    source = classify_model(config.model.name, base_dir=base_dir, copies=copy_names(root))
    match source:
        case Packaged(model):
            return f"{model.name} {model.version} sha256:{model.sha256}"
        case HubId(repository, revision):
            here = find_snapshot(hub_cache_root(), repository, revision, tokenizer_needed=False)
            return f"{repository}@{here.commit if here else revision or 'main'}"
        case Shipped(draft):
            return f"{draft.name} sha256:{draft.weights_sha256}"
        case QuantisedCopy(name):
            return f"{name} sha256:{read_copy(root, name).sha256}"
        case LocalPath(path):
            return _checkpoint_identity(path)


def _checkpoint_identity(directory: Path) -> str:
    digest = hashlib.sha256()
    try:
        digest.update((directory / "config.json").read_bytes())
        for weights in sorted(directory.glob("*.safetensors")):
            size = weights.stat().st_size
            digest.update(f"\n{weights.name} {size}\n".encode())
            with weights.open("rb") as file:
                digest.update(file.read(_EDGE_BYTES))
                file.seek(max(0, size - _EDGE_BYTES))
                digest.update(file.read(_EDGE_BYTES))
    except OSError as error:
        raise ModelError(f"the checkpoint {directory} cannot be read: {error.strerror or error}.") from error
    return f"checkpoint {directory.name} {digest.hexdigest()[:32]}"


def _unless(value: str, usual: str) -> str | None:
    return None if value == usual else value


def _lossy_acceptance(config: ServerConfig) -> str | None:
    """`synthetic` accepts by a given rate, whatever the model says: the text means nothing."""
    method = getattr(config.speculation, "rejection_sample_method", None)
    return method if method == "synthetic" else None


def _numeric_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments that change numbers, with their values, in the order given."""
    kept, keeping = [], False
    for argument in arguments:
        if argument.startswith("-"):
            name = argument.partition("=")[0].replace("_", "-")
            keeping = name in _NUMERIC_FLAGS or name == "-q"
        if keeping:
            kept.append(argument)
    return kept

"""What is profiled: one target, the drafters that might serve it, and the k, loads and prompts at which steps are measured.

A file with `server:` or `drafters:` says all of it; a server configuration, as `kilotoken serve` takes it, is profiled with its own
drafter, if it has one, at the default loads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from accounting.errors import ConfigError
from accounting.planning.drafting_yield import OFF
from accounting.planning.step_cost import SPARE_WINDOWS
from accounting.verdicts import MINIMUM_WINDOW_S
from serving.config import ServerConfig
from serving.section import Section, as_tuple
from serving.speculation import MAX_DRAFT_TOKENS
from workbench.experiment import Name, merge_sections, validated
from workbench.strict_yaml import read_yaml

#: The drafter that knows the answers; its name among the drafters.
ORACLE = "oracle"
#: Methods whose drafter has no weights: they add to a step and to each sequence, and pass through nothing.
LOOKUPS = ("ngram", "ngram_gpu", "suffix")
DraftLength = Annotated[int, Field(ge=1, le=MAX_DRAFT_TOKENS)]


def _shares(value: Any) -> Any:
    """A list of numbers as strict mode takes it: 0 and 1 are shares too."""
    if not isinstance(value, list):
        return value
    return tuple(float(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in value)


#: Keys of a section that would make an arm something else than a drafter at one k, judged by the target.
_NOT_HERE = {
    "num_speculative_tokens": "the draft lengths stand in `k`, for all drafters",
    "num_speculative_tokens_per_batch_size": "a schedule has no one k; a plan makes one where it pays",
    "rejection_sample_method": "drafts are judged by the target",
    "synthetic_acceptance_rates": "drafts are judged by the target",
    "synthetic_acceptance_length": "drafts are judged by the target",
}


def _check_drafter(name: str, section: Mapping[str, Any]) -> None:
    if section.get("method") == "custom_class":
        raise ValueError(
            f"drafters.{name}: a class of your own cannot be replayed, and is not profiled; compare it by `kilotoken run`"
        )
    for key in _NOT_HERE:
        if key in section:
            raise ValueError(f"drafters.{name}.{key}: {_NOT_HERE[key]}")


class OracleSection(Section):
    """A drafter that replays the target's own answers, wrong as often as it is told: what verifying costs at any acceptance."""

    acceptance: Annotated[
        tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1), BeforeValidator(_shares)
    ] = (0.8,)
    """Shares of drafted tokens that are the target's own; a server life for each of them and each k."""
    k: Annotated[tuple[DraftLength, ...], BeforeValidator(as_tuple)] = ()
    """Draft lengths; the profile's own by default."""


class Profile(Section):
    """What a profile measures."""

    server: dict[str, Any] = Field(default_factory=dict)
    """The target and how it is served, without `speculation`."""
    drafters: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    """Name -> a `speculation` section without `num_speculative_tokens`."""
    k: Annotated[tuple[DraftLength, ...], Field(min_length=1), BeforeValidator(as_tuple)] = (1, 3, 6)
    """Drafted tokens per step; a server life for each of them and each drafter."""
    oracle: OracleSection | Literal["off"] = OracleSection()
    """The drafter that knows the answers; `off` for none."""
    workloads: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1), BeforeValidator(as_tuple)
    ] = ("copy", "chat")
    """Prompts: lengths that differ tell what a token of context and of a prompt takes."""
    streams: Annotated[
        tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=2), BeforeValidator(as_tuple)
    ] = (1, 4, 16)
    """Closed-loop streams, at least two numbers of them: what a step takes and what a sequence in it takes differ."""
    max_tokens: Annotated[int, Field(ge=2)] = 64
    """Longest answer, tokens."""
    window_s: Annotated[float, Field(ge=MINIMUM_WINDOW_S)] = MINIMUM_WINDOW_S
    """Shortest steady window of a cell, seconds; below 25 its throughput would not count."""
    seed: int = 1
    """Of prompts and the order of server lives."""

    @model_validator(mode="after")
    def _names_are_free(self) -> Profile:
        if "speculation" in self.server:
            raise ValueError("server.speculation: the drafters stand in `drafters`, each with a name")
        taken = [name for name in (OFF, ORACLE) if name in self.drafters]
        if taken:
            raise ValueError(f"drafters.{taken[0]}: this name is kilotoken's own, take another")
        for name, section in self.drafters.items():
            _check_drafter(name, section)
        for name, values in (("k", self.k), ("streams", self.streams)):
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: none twice, not {', '.join(map(str, values))}")
        return self

    @property
    def oracle_k(self) -> tuple[int, ...]:
        """Draft lengths of the oracle; none without it."""
        if not isinstance(self.oracle, OracleSection):
            return ()
        return self.oracle.k or self.k


def load_profile(path: Path) -> Profile:
    """Read and check what is profiled, every arm of it included.

    Raises:
        ConfigError: saying what is wrong, what is allowed, what to do.
    """
    data = read_yaml(path)
    if not ({"server", "drafters"} & data.keys()):
        data = _of_server(validated(ServerConfig, data, origin=str(path)), data)
    profile = validated(Profile, data, origin=str(path))
    for name, k, section in speculation_sections(profile):
        own = {"speculation": section} if section else {}
        validated(ServerConfig, merge_sections(profile.server, own), origin=f"{path}: {arm_name(name, k)}")
    _refuse_too_few(profile, str(path))
    return profile


def _refuse_too_few(profile: Profile, origin: str) -> None:
    """Fewer windows than parts to tell apart: an hour of measuring would end in a refusal.

    Raises:
        ConfigError: with how many there are and how many are needed.
    """
    lives = len(speculation_sections(profile))
    methods = ["lookup" if s["method"] in LOOKUPS else "weights" for s in profile.drafters.values()]
    if isinstance(profile.oracle, OracleSection):
        lives += len(profile.oracle.acceptance) * len(profile.oracle_k)
        methods.append("lookup")
    windows = lives * len(profile.workloads) * len(profile.streams)
    needed = 5 + sum(2 if method == "lookup" else 4 for method in methods) + SPARE_WINDOWS
    if windows < needed:
        raise ConfigError(
            f"{origin}: {windows} windows cannot tell {needed - SPARE_WINDOWS} parts of a step apart; {needed} are the least.",
            hint="Give more streams, k or workloads.",
        )


def _of_server(config: ServerConfig, data: Mapping[str, Any]) -> dict[str, Any]:
    server = {key: value for key, value in data.items() if key != "speculation"}
    if config.speculation.method == OFF:
        return {"server": server}
    section = {key: value for key, value in data["speculation"].items() if key != "num_speculative_tokens"}
    return {"server": server, "drafters": {config.speculation.method: section}}


def speculation_sections(profile: Profile) -> list[tuple[str, int, dict[str, Any]]]:
    """Drafter, k and section of every arm that vLLM is served as, none at all first; the oracle's stand in `profile_arms`."""
    named = [
        (name, k, {**section, "num_speculative_tokens": k})
        for name, section in profile.drafters.items()
        for k in profile.k
    ]
    return [(OFF, 0, {}), *named]


def arm_name(drafter: str, k: int, acceptance: float | None = None) -> str:
    """`off`, `ngram-k3`, `oracle-k3-at-0.8`."""
    if drafter == OFF:
        return OFF
    return f"{drafter}-k{k}" + ("" if acceptance is None else f"-at-{acceptance:g}")

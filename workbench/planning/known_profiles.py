"""Which profile holds for a target here: the one that was named, or the latest that was measured on this machine and engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError, RunError
from accounting.planning.drafting_yield import OFF
from accounting.planning.step_cost import StepCost
from serving.models.cache import cache_root
from workbench.engine_warnings import server_file
from workbench.kv_blocks import kv_blocks
from workbench.planning.profile_file import ORACLE
from workbench.planning.profiled_for import engine_here, machine_here
from workbench.planning.step_cost_file import FILE, cost_of, read_step_cost
from workbench.run_directory import RunDirectory

Document = dict[str, Any]


#: vLLM's own on a CPU where a server did not say what it resolved.
DEFAULT_BATCHED_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class KnownProfile:
    """A profile that was measured: its directory, its document, and what a step takes. What it can say is what its valid windows
    showed: a drafter, a k or a load without one is not there.
    """

    directory: Path
    document: Document
    cost: StepCost

    @property
    def streams(self) -> list[int]:
        """Loads at which no drafting was measured, rising."""
        off = {window["streams"] for window in self.document["windows"] if window["work"]["method"] == OFF}
        return sorted(off)

    @property
    def ks(self) -> dict[str, int]:
        """The largest k that was measured of each drafter; not the oracle's."""
        arms = self.document["arms"]
        shown = dict.fromkeys(window["arm"] for window in self.document["windows"])
        found: dict[str, int] = {}
        for said in (arms[arm] for arm in shown):
            if said["drafter"] not in (OFF, ORACLE):
                found[said["drafter"]] = max(said["k"], found.get(said["drafter"], 0))
        return found

    @property
    def unmeasured(self) -> list[str]:
        """Drafters without a valid window."""
        asked = {said["drafter"] for said in self.document["arms"].values()} - {OFF, ORACLE}
        return sorted(asked - self.ks.keys())

    def sections(self) -> dict[str, Document]:
        """Every measured drafter's `speculation` section without k, its model named by a whole path."""
        experiment = self._run().experiment()
        found: dict[str, Document] = {}
        for arm, said in self.document["arms"].items():
            if said["drafter"] in self.ks:
                section = experiment.arms[arm]["speculation"]
                found[said["drafter"]] = {
                    key: value for key, value in section.items() if key != "num_speculative_tokens"
                }
        return found

    def server(self) -> Document:
        """How the target was served, its model named by a whole path."""
        return dict(self._run().experiment().server)

    def kv_tokens(self, drafter: str, k: int) -> float:
        """Tokens that fit into the KV cache beside this drafter, at the k next to it that was measured.

        Infinite where the server did not say.
        """
        blocks = kv_blocks(self._resolved(drafter, k), "")
        if blocks.tokens is None or blocks.capacity is None:
            return float("inf")
        return float(blocks.tokens * blocks.capacity)

    def batched_tokens(self) -> int:
        """Tokens of a step, prompts and decoding together, as the server without drafting resolved them."""
        said = self._resolved(OFF, 0).get("scheduler_config.max_num_batched_tokens")
        return int(said) if isinstance(said, int) else DEFAULT_BATCHED_TOKENS

    def _resolved(self, drafter: str, k: int) -> Document:
        own = [
            (abs(said["k"] - k), -said["k"], arm)
            for arm, said in self.document["arms"].items()
            if said["drafter"] == drafter
        ]
        try:
            return server_file(self._run(), min(own)[-1], "resolved.json") if own else {}
        except RunError:
            return {}

    def _run(self) -> RunDirectory:
        return RunDirectory.open(self.directory / self.document["run"])


def known_profile(directory: Path | None, target: Document, *, root: Path | None = None) -> KnownProfile:
    """The profile in a directory, or the latest of the cache.

    Args:
        target: name and sha256 of its files, as a profile says them.

    Raises:
        ConfigError: if it is another target's, or none is known.
        RunError: if it is damaged.
    """
    if directory is None:
        directory = _latest(target, (root or cache_root()) / "profiles")
    document = read_step_cost(directory)
    try:
        said = document["holds_for"]["target"]
        known = KnownProfile(directory, document, cost_of(document))
        other = said["sha256"] != target["sha256"]
    except (KeyError, TypeError) as error:
        raise RunError(
            f"{directory} is damaged: {error}.", hint="`kilotoken profile --again` makes it anew."
        ) from error
    if other:
        raise ConfigError(
            f"{directory} is a profile of {said['name']}, the target is {target['name']}.",
            hint="`kilotoken profile CONFIG` measures this target.",
        )
    return known


def _latest(target: Document, profiles: Path) -> Path:
    here = {"machine": machine_here(), "engine": engine_here()}
    found: list[tuple[str, Path]] = []
    for file in sorted(profiles.glob(f"*/{FILE}")):
        try:
            document = read_step_cost(file.parent)
            holds = document["holds_for"]
            same = all(holds[key] == value for key, value in here.items())
            if same and holds["target"]["sha256"] == target["sha256"]:
                found.append((document["measured_at"], file.parent))
        except (RunError, KeyError, TypeError):
            continue  # of an older kilotoken, or damaged: another one may hold
    if not found:
        raise ConfigError(
            f"what a step of {target['name']} takes was not measured on this machine with this engine.",
            hint="`kilotoken profile CONFIG` measures it, in about half an hour on two cores; `--profile DIR` names another one.",
        )
    return max(found)[1]

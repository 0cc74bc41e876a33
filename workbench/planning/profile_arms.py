"""The experiment that a profile is: one server life for each drafter and each k, one for none, and which drafter each arm is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import serving.oracle
from loadtest.workloads.catalogue import relocated
from serving.models.catalogue import name_anywhere
from serving.oracle.oracle_proposer import ACCEPTANCE, ANSWERS
from workbench.planning.profile_file import ORACLE, OracleSection, Profile, arm_name, speculation_sections

Document = dict[str, Any]
#: Of generated prompts: the oracle must have been told the answers to those that cells draw.
WORKLOAD_SEED = 1


@dataclass(frozen=True, slots=True)
class ProfiledArm:
    """One arm: under which name its steps are fitted, its k, and what is told apart from the shared server."""

    name: str
    drafter: str
    k: int
    own: Document


def profiled_arms(profile: Profile, answers: Path) -> list[ProfiledArm]:
    """Every arm, none at all first.

    Args:
        answers: the file that the oracle drafts from.
    """
    plain = [
        ProfiledArm(arm_name(drafter, k), drafter, k, {"speculation": section} if section else {})
        for drafter, k, section in speculation_sections(profile)
    ]
    return [*plain, *_oracles(profile, answers)]


def _oracles(profile: Profile, answers: Path) -> Iterator[ProfiledArm]:
    if not isinstance(profile.oracle, OracleSection):
        return
    shared = profile.server.get("engine", {}).get("environment", {})
    for acceptance in profile.oracle.acceptance:
        for k in profile.oracle_k:
            own = {
                "speculation": {
                    "method": "custom_class", "model": "oracle_proposer.OracleProposer", "num_speculative_tokens": k,
                    "python_path": str(Path(serving.oracle.__file__).resolve().parent),
                },
                "engine": {"environment": {**shared, ANSWERS: str(answers.resolve()), ACCEPTANCE: f"{acceptance:g}"}},
            }  # fmt: skip
            yield ProfiledArm(arm_name(ORACLE, k, acceptance), ORACLE, k, own)


def profile_experiment(profile: Profile, arms: Sequence[ProfiledArm], *, base_dir: Path) -> Document:
    """The experiment as a file holds it. Paths become absolute: an experiment's own are its file's.

    Args:
        base_dir: of the paths in the profile.
    """
    server = dict(profile.server)
    model = server.get("model")
    if model is not None:
        named = {"name": model} if isinstance(model, str) else dict(model)
        if "name" in named:
            named["name"] = name_anywhere(named["name"], base_dir=base_dir)
        server["model"] = named
    return {
        "name": "profile",
        "question": "What does a step of the engine take, by what is in it?",
        "server": server,
        "arms": {arm.name: _placed(arm.own, base_dir) for arm in arms},
        "workloads": absolute_workloads(profile, base_dir),
        "loads": {"streams": list(profile.streams)},
        "output": {"max_tokens": profile.max_tokens},
        "window": {"minimum_s": profile.window_s, "limit_s": max(120.0, 2 * profile.window_s), "warm_up_s": 2},
        "repeats": 1,
        "seed": profile.seed,
        "workload_seed": WORKLOAD_SEED,
        "losslessness": "off",
        # A profile is in seconds; an experiment has a price.
        "price": {"usd_per_hour": 1.0, "source": "none is asked for", "as_of": datetime.now(UTC).date().isoformat()},
        "slo": {"ttft_s": None, "tpot_s": 1.0, "attainment_floor": 0.95},
    }  # fmt: skip


def absolute_workloads(profile: Profile, base_dir: Path) -> list[str]:
    """The profile's workloads, files named by their whole paths."""
    return [relocated(name, lambda path: str((base_dir / path).resolve())) for name in profile.workloads]


def _placed(own: Document, base_dir: Path) -> Document:
    """The arm with its draft named by a whole path, where it is a directory."""
    section = own.get("speculation")
    if not section or "model" not in section or section["method"] == "custom_class":
        return own
    return {**own, "speculation": {**section, "model": name_anywhere(section["model"], base_dir=base_dir)}}

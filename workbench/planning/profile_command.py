"""What `kilotoken profile` does: the target's answers for the oracle, one run of all arms, step costs fitted to its windows.

  profile.json     what was asked for, of which machine, engine and models
  answers.jsonl    what the target itself says, for the oracle
  experiment.yaml  run/   the experiment that it is, and its run (kilotoken run)
  step_cost.json   what came of it

A profile is kept by what it holds for, and is not measured again; what was begun goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from accounting.errors import RunError
from serving.config import ServerConfig
from workbench.experiment import ArmConfig, Experiment, validated
from workbench.planning.known_answers import ask_known_answers, wanted_answers
from workbench.planning.measured_steps import MeasuredStep, draft_passes, measured_step
from workbench.planning.profile_arms import ProfiledArm, profile_experiment, profiled_arms
from workbench.planning.profile_file import Profile
from workbench.planning.profiled_for import profile_directory
from workbench.planning.step_cost_file import FILE, fitted_document, read_step_cost, write_step_cost
from workbench.run_directory import RunDirectory, write_json
from workbench.server_under_test import placement_for, started_server

Document = dict[str, Any]
Say = Callable[[str], None]
#: Runs an experiment file into a directory, or goes on there.
RunExperiment = Callable[[Path, Path], None]
#: Writes what the target says, for the oracle.
Answers = Callable[[Path], None]
ASKED, EXPERIMENT = "profile.json", "experiment.yaml"


@dataclass(frozen=True, slots=True)
class BegunProfile:
    """A directory in which all is ready to be measured, or `known`, what was measured there."""

    directory: Path
    arms: tuple[ProfiledArm, ...]
    asked: Document
    known: Document | None = None


def begin_profile(
    profile: Profile,
    asked: Document,
    *,
    base_dir: Path,
    out: Path | None,
    again: bool,
    say: Say,
    check: Callable[[Path], None],
    answers: Answers | None = None,
) -> BegunProfile:
    """Find what is known, or make ready what is to be measured; the oracle is told what the target says.

    Args:
        asked: what it holds for (`profiled_for`).
        base_dir: of the paths in the profile.
        out: directory; in the cache, by what it holds for, without one.
        again: measure what is known already; what was measured before is kept beside it.
        check: refuses an experiment's file that could not be run.
        answers: asks the target; a server of it by default.

    Raises:
        KilotokenError: if `out` was begun otherwise, or the target's server does not start or answer.
    """
    directory = out or profile_directory(asked)
    if directory.exists():
        _refuse_other(directory, asked)
        if again and (directory / "run").exists() and _is_complete(directory):
            directory.rename(directory.with_name(f"{directory.name}-before-{time.time():.0f}"))
    known = directory / "answers.jsonl"
    arms = tuple(profiled_arms(profile, known))
    if (directory / FILE).exists():
        return BegunProfile(directory, arms, asked, read_step_cost(directory))
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / ASKED, asked)
    if not (directory / EXPERIMENT).exists():
        document = profile_experiment(profile, arms, base_dir=base_dir)
        write_json(directory / EXPERIMENT, document)  # JSON is YAML
    check(directory / EXPERIMENT)  # a mistake must not show after minutes of asking
    if profile.oracle_k and not known.exists():
        (answers or _asking(profile, base_dir, say))(known)
    return BegunProfile(directory, arms, asked)


def finish_profile(begun: BegunProfile, run: RunExperiment) -> Document:
    """Run what is left to run, and fit.

    Raises:
        KilotokenError: if a server fails, or too few windows are valid; what was measured is kept.
    """
    if begun.known is not None:
        return begun.known
    run(begun.directory / EXPERIMENT, begun.directory / "run")
    document = _fitted(begun)
    write_step_cost(begun.directory, document)
    return document


def _is_complete(directory: Path) -> bool:
    """Whether all of it was measured, so that there is nothing to go on with."""
    try:
        return (directory / FILE).exists() or "cells" in RunDirectory.open(directory / "run").read_json(
            "measures.json"
        )
    except RunError:
        return False


def planned_profile(profile: Profile, *, base_dir: Path, show: Callable[[Path], None]) -> None:
    """Show the experiment that it is, as `kilotoken run --dry-run` shows one; nothing is started or kept."""
    with TemporaryDirectory() as directory:
        file = Path(directory) / EXPERIMENT
        arms = profiled_arms(profile, Path(directory) / "answers.jsonl")
        write_json(file, profile_experiment(profile, arms, base_dir=base_dir))
        show(file)


def _refuse_other(directory: Path, asked: Document) -> None:
    """Nothing is written into, or removed from, a directory that is another profile's or none.

    Raises:
        RunError: naming what differs.
    """
    if directory.is_dir() and not any(directory.iterdir()):
        return
    try:
        known = json.loads((directory / ASKED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RunError(f"{directory} is no profile.", hint="Give another --out.") from None
    different = [key for key in asked if known.get(key) != asked[key]]
    if different:
        raise RunError(
            f"{directory} holds a profile of something else ({', '.join(different)}).",
            hint="Give another --out, or none: profiles are kept by what they hold for.",
        )


def _asking(profile: Profile, base_dir: Path, say: Say) -> Answers:
    """A server of the target alone, asked for as long as it takes."""

    def ask(out: Path) -> None:
        arms = profiled_arms(profile, out)
        document = profile_experiment(profile, arms, base_dir=base_dir)
        config = validated(ServerConfig, profile.server, origin="profile: server")
        placement = placement_for(config, report=say, base_dir=base_dir)
        with started_server(config, placement, log_path=out.with_suffix(".log"), report=say) as server:
            ask_known_answers(
                server,
                wanted_answers(validated(Experiment, document, origin="profile")),
                max_tokens=profile.max_tokens,
                beyond=max(profile.oracle_k),
                out=out,
                say=say,
            )

    return ask


def _fitted(begun: BegunProfile) -> Document:
    run = RunDirectory.open(begun.directory / "run")
    drafters = {arm.name: arm.drafter for arm in begun.arms}
    configs = run.experiment().arm_configs(origin=str(run.path))
    steps: list[MeasuredStep] = []
    left_out: list[Document] = []
    for row in run.read_json("measures.json")["cells"]:
        step = measured_step(row, _started(configs[row["arm"]]), drafters[row["arm"]])
        if isinstance(step, MeasuredStep):
            steps.append(step)
        else:
            place = {name: row[name] for name in ("arm", "workload", "streams")}
            left_out.append(place | {"reason": step})
    about = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "holds_for": begun.asked,
        "arms": {
            arm.name: {
                "drafter": arm.drafter,
                "k": arm.k,
                "passes": draft_passes(_started(configs[arm.name])),
            }
            for arm in begun.arms
        },
        "run": "run",
    }
    return fitted_document(steps, left_out, about)


def _started(config: ArmConfig) -> ServerConfig:
    """A profile starts its servers itself."""
    assert isinstance(config, ServerConfig)
    return config

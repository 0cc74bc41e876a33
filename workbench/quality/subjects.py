"""Whose quality is measured: a server configuration, one arm, or every arm of an experiment with its own numerics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from accounting.errors import ConfigError
from serving.config import ServerConfig
from serving.numerics import Numerics, numerics_of, numerics_of_url
from workbench.experiment import ArmConfig, AttachSection, Experiment, load_experiment, load_server
from workbench.models import model_on_disk, resolve_model
from workbench.run_directory import RunDirectory
from workbench.server_under_test import (
    Report,
    ServerUnderTest,
    attached_server,
    placement_for,
    started_server,
)
from workbench.strict_yaml import read_yaml


@dataclass(frozen=True, slots=True)
class Subject:
    """One server to be measured. `label` is the arm's or the file's name; paths are relative to `base_dir`."""

    label: str
    config: ArmConfig
    base_dir: Path
    numerics: Numerics

    @contextmanager
    def server(self, *, log_path: Path, report: Report) -> Iterator[ServerUnderTest]:
        """The server, started and ended here, or attached to where it runs."""
        if isinstance(self.config, AttachSection):
            with attached_server(self.config) as server:
                yield server
        else:
            placement = placement_for(self.config, base_dir=self.base_dir, report=report)
            with started_server(self.config, placement, log_path=log_path, report=report) as server:
                yield server


def subjects_of(path: Path, arm: str | None, *, report: Report = lambda _text: None) -> list[Subject]:
    """What a file, or a run's directory, asks to be measured; of an experiment the baseline first.

    Models that are not here yet are fetched: what a hub's branch means is known only then.

    Raises:
        ConfigError: if the file is wrong, or there is no such arm.
        ModelError: if a model cannot be had.
    """
    if (path / "plan.json").is_file():
        run = RunDirectory.open(path)
        return _arms(run.experiment(), str(path), run_base_dir(run), arm, report)
    if {"arms", "name"} & read_yaml(path).keys():
        return _arms(load_experiment(path), str(path), path.resolve().parent, arm, report)
    if arm is not None:
        raise ConfigError(f"{path} is a server configuration: it has no arms.", hint="Leave --arm out.")
    config, base_dir = load_server(path), path.resolve().parent
    return [_subject(path.stem, config, base_dir, report)]


def run_base_dir(run: RunDirectory) -> Path:
    """The directory to which the paths in a run's experiment are relative."""
    return Path(run.read_json("provenance.json").get("base_dir", "."))


def arm_numerics(config: ArmConfig, base_dir: Path) -> Numerics:
    """What decides the numbers of an arm.

    Raises:
        ModelError: if its model cannot be found.
    """
    if isinstance(config, AttachSection):
        return numerics_of_url(config.url, config.model)
    return numerics_of(config, base_dir=base_dir)


def _subject(label: str, config: ArmConfig, base_dir: Path, report: Report) -> Subject:
    if isinstance(config, ServerConfig) and config.engine.device != "fake":
        name = config.model.name
        if model_on_disk(name, base_dir=base_dir) is None:
            resolve_model(
                name,
                base_dir=base_dir,
                report=lambda stage, _done, _total: report(f"{label}: model: {stage}"),
            )
    return Subject(label, config, base_dir, arm_numerics(config, base_dir))


def _arms(
    experiment: Experiment, origin: str, base_dir: Path, arm: str | None, report: Report
) -> list[Subject]:
    if arm is not None and arm not in experiment.arms:
        raise ConfigError(f"{origin} has no arm {arm!r}; arms: {', '.join(experiment.arms)}.")
    configs = experiment.arm_configs(origin=origin)
    order = [arm] if arm is not None else sorted(configs, key=lambda name: name != experiment.baseline_arm)
    by_fingerprint: dict[str, Subject] = {}
    for name in order:
        subject = _subject(name, configs[name], base_dir, report)
        by_fingerprint.setdefault(subject.numerics.fingerprint, subject)
    return list(by_fingerprint.values())

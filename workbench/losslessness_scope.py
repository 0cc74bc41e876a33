"""Whose losslessness a run asks about: every arm that speculates where the baseline does not, with the same numerics.

A server that runs already does not declare what it does; whether it speculates is seen when it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.config import ServerConfig
from serving.numerics import declared_difference
from workbench.experiment import ArmConfig, AttachSection, Experiment

NOT_ASKED = "not asked"
NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Scope:
    """Arms that are `asked`, and of the other speculating arms the word and the reason in a user's words."""

    baseline: str
    asked: tuple[str, ...] = ()
    unasked: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    float32: tuple[str, ...] = ()
    """Arms that get a float32 server of their own, the baseline first; none where that is not asked for."""

    def passes(self, arm: str) -> int:
        """How often an arm is asked in one server life: the baseline twice, because its own noise is measured."""
        if arm == self.baseline:
            return 2 if self.asked else 0
        return int(arm in self.asked)


def losslessness_scope(experiment: Experiment, configs: Mapping[str, ArmConfig]) -> Scope:
    """Decide from what is declared alone. `configs` are the experiment's arms."""
    baseline = experiment.baseline_arm
    asked: list[str] = []
    unasked: dict[str, tuple[str, str]] = {}
    for arm, config in configs.items():
        why_not = _why_not(experiment, arm, config, configs[baseline])
        if why_not is not None and speculates(config):
            unasked[arm] = why_not
        elif (
            why_not is None and arm != baseline and (speculates(config) or isinstance(config, AttachSection))
        ):
            asked.append(arm)
    ours = [arm for arm in asked if _can_be_float32(configs[arm])]
    in_float32 = experiment.losslessness.float32 and ours and _can_be_float32(configs[baseline])
    return Scope(baseline, tuple(asked), unasked, (baseline, *ours) if in_float32 else ())


def speculates(config: ArmConfig) -> bool:
    """Whether an arm declares to speculate; a server that runs already declares nothing."""
    return isinstance(config, ServerConfig) and config.speculation.method != "off"


def _why_not(
    experiment: Experiment, arm: str, config: ArmConfig, baseline: ArmConfig
) -> tuple[str, str] | None:
    name = experiment.baseline_arm
    if not experiment.losslessness.asked:
        return NOT_ASKED, "the experiment says `losslessness: off`"
    if speculates(baseline):
        own = "it is the baseline" if arm == name else f"the baseline {name} speculates itself"
        return NOT_MEASURED, f"{own}: texts are held against a baseline that does not speculate"
    if isinstance(config, ServerConfig) and isinstance(baseline, ServerConfig):
        differs = declared_difference(config, baseline)
        if differs:
            return NOT_ASKED, f"its numerics differ from the baseline's ({', '.join(differs)})"
    return None


def _can_be_float32(config: ArmConfig) -> bool:
    """Whether a float32 life says more than the measured one: the server is ours to start, and not float32 anyway."""
    return isinstance(config, ServerConfig) and config.model.dtype != "float32"

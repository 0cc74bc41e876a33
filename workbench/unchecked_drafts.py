"""What `--unchecked` means: drafts that `kilotoken draft check` failed are served all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.config import ServerConfig
from serving.speculation import ModelDraft
from workbench.experiment import Experiment


def with_unchecked_drafts(experiment: Experiment) -> Experiment:
    """The same experiment in memory; its file and its record stay what the user wrote."""
    arms = {name: _unchecked(own) for name, own in experiment.arms.items()}
    return experiment.model_copy(update={"server": _unchecked(experiment.server), "arms": arms})


def with_unchecked_draft(config: ServerConfig) -> ServerConfig:
    """The same for one server."""
    if not isinstance(config.speculation, ModelDraft):
        return config
    speculation = config.speculation.model_copy(update={"unchecked": True})
    return config.model_copy(update={"speculation": speculation})


def _unchecked(sections: Mapping[str, Any]) -> dict[str, Any]:
    speculation = sections.get("speculation")
    if not isinstance(speculation, Mapping) or speculation.get("method") not in _METHODS:
        return dict(sections)
    return {**sections, "speculation": {**speculation, "unchecked": True}}


def _methods(section: type[ModelDraft]) -> set[str]:
    """The methods of a section and of those that refine it."""
    method = section.model_fields.get("method")
    own = set(getattr(method.annotation, "__args__", ())) if method else set()
    return own.union(*map(_methods, section.__subclasses__()))


_METHODS = _methods(ModelDraft)

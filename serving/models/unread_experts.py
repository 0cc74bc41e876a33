"""Refuses a model that would be read as dense though its config.json counts experts under a name that is not read."""

from __future__ import annotations

import re
from typing import Any

from accounting.estimate.shape import Experts, ModelShape
from serving.models.config_fields import ConfigFields

#: Names of numbers of experts, not of how many answer or how wide they are.
_NUMBER_OF = re.compile(r"(^|_)(num|n|number|total)_.*experts?$|^experts?_num|(^|_)num_experts?$")


def check_experts(fields: ConfigFields, shape: ModelShape) -> None:
    """Note in `fields` what is wrong where no layer has experts and config.json counts some that nobody looked for."""
    read, unread = fields.holding("expert", "moe")
    if _sparse(shape) or _counts(fields, read):
        return
    if counts := _counts(fields, unread):
        said = ", ".join(f"{name} = {fields.facts.value(name)}" for name in counts)
        fields.reject(f"it counts experts ({said}), which are not read, so that it would be taken as dense")


def unread_note(fields: ConfigFields, shape: ModelShape) -> list[str]:
    """Other settings of experts in a model that was read as dense."""
    read, unread = fields.holding("expert", "moe")
    if _sparse(shape) or _counts(fields, read) or not unread:
        return []
    return [f"It was read as dense, and config.json holds {', '.join(unread)}, which was not looked at."]


def _sparse(shape: ModelShape) -> bool:
    return any(isinstance(kind.feed_forward, Experts) for kind in shape.layers)


def _counts(fields: ConfigFields, names: list[str]) -> list[str]:
    return [name for name in names if _is_count(name, fields.facts.value(name))]


def _is_count(name: str, value: Any) -> bool:
    """Whether a setting says that there are several experts."""
    several = isinstance(value, int) and not isinstance(value, bool) and value > 1
    return several and "shared" not in name and _NUMBER_OF.search(name) is not None

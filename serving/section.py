"""What every configuration section has in common: frozen, strict, no unknown keys."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


def as_tuple(value: Any) -> Any:
    """Strict mode wants a tuple where YAML and JSON know lists only."""
    return tuple(value) if isinstance(value, list) else value


class Section(BaseModel):
    """Base of every section: frozen, no unknown keys, no silent type coercion."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

"""A value that could not be measured, and why: never a silent zero."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """A number, or None with the reason in a user's words. Exactly one of the two is given."""

    value: float | None
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse a missing value without a reason, and a value with one."""
        if (self.value is None) != bool(self.reason):
            raise ValueError("a measured value needs no reason, a missing one needs exactly one")


def measured(value: float) -> Measured:
    """Wrap a number that was measured."""
    return Measured(value)


def not_measured(reason: str) -> Measured:
    """Say why there is no number."""
    return Measured(None, reason)

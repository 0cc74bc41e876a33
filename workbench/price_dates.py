"""When a price is too old to be used without a word, and that none is dated after today: of catalogues, experiments, runs."""

from __future__ import annotations

from datetime import date

from accounting.errors import ConfigError

#: Days after which a price warns: prices of this market move within months.
STALE_AFTER_DAYS = 180


def age_warning(name: str, as_of: date, source: str, today: date) -> str | None:
    """What to tell a user whose price is older than 180 days; None for a younger one."""
    age = (today - as_of).days
    if age <= STALE_AFTER_DAYS:
        return None
    return (
        f"{name} is of {as_of}, {age} days ago, and prices change within months: look it up again ({source})."
    )


def refuse_future(name: str, as_of: date, today: date) -> None:
    """A price that nobody can have read yet.

    Raises:
        ConfigError: if it is dated after `today`.
    """
    if as_of > today:
        raise ConfigError(
            f"{name} is of {as_of}, which is after today ({today}).",
            hint="Correct as_of, or the clock of this machine.",
        )

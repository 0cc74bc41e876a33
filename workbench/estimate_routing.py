"""Two estimates side by side: what a thousand tokens cost when the small model answers a share and a large one the rest."""

from __future__ import annotations

from typing import Any

from accounting.errors import ConfigError
from accounting.routing import cascaded_usd_per_1k, least_share_for_a_cascade, routed_usd_per_1k

Document = dict[str, Any]


def routing(small: Document, large: Document, share: float) -> Document:
    """Of two estimate documents with dollars; `share` of the tokens come from the small one.

    Raises:
        ConfigError: without dollars, or for a share outside 0 to 1.
    """
    asked = [one["cost"]["usd_per_1k_output_tokens"] for one in (small, large)]
    if None in asked:
        raise ConfigError(
            "--route-to compares dollars, and there is no price.",
            hint="Give --price NAME or --usd-per-hour X.",
        )
    try:
        return {
            "large": large["model"]["name"],
            "share": share,
            "large_usd_per_1k": asked[1],
            "routed_usd_per_1k": routed_usd_per_1k(share, *asked),
            "cascaded_usd_per_1k": cascaded_usd_per_1k(share, *asked),
            "least_share_for_a_cascade": least_share_for_a_cascade(*asked),
            "large_fits": large["memory"]["fits"],
            "notes": [note for note in large["notes"] if note not in small["notes"]],
        }
    except ValueError as error:
        raise ConfigError(f"--share: {error}.") from error


def routing_sentence(said: Document) -> str:
    """The same in words."""
    least = said["least_share_for_a_cascade"]
    pays = (
        "a cascade never pays: the small one is dearer"
        if least is None
        else f"a cascade pays from a share of {least:.0%} on"
    )
    fits = "" if said["large_fits"] else "; at this batch the large one does not fit"
    return (
        f"with {said['share']:.0%} of the tokens from here and the rest from {said['large']} "
        f"({said['large_usd_per_1k']:.4g} $): {said['routed_usd_per_1k']:.4g} $ per 1k if a router knows beforehand, "
        f"{said['cascaded_usd_per_1k']:.4g} $ if it is asked after; {pays}{fits}"
    )

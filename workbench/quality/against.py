"""Two results on the same items: the paired difference of score and likelihood, which shows what numerics cost."""

from __future__ import annotations

from typing import Any

from accounting.errors import ConfigError
from accounting.likelihood import TextLikelihood, mean_difference
from accounting.shares import paired_difference

Document = dict[str, Any]


def paired(first: Document, second: Document) -> Document:
    """`second` against `first`: above zero the score is better, above 1 the perplexity worse.

    Raises:
        ConfigError: if the two are not of the same items.
    """
    check_same_items(first, second)
    pairs = list(zip(first["rows"], second["rows"], strict=True))
    table = [sum((a["right"], b["right"]) == cell for a, b in pairs) for cell in _CELLS]
    difference = paired_difference(*table)
    return {
        "against": first["label"],
        "against_fingerprint": first["fingerprint"],
        "score": {
            "difference": difference.difference,
            "interval": difference.interval,
            "only_there": difference.only_first,
            "only_here": difference.only_second,
            "p_value": difference.p_value,
        },
        "perplexity": _perplexity(pairs),
    }


_CELLS = ((True, True), (True, False), (False, True), (False, False))


def check_same_items(first: Document, second: Document) -> None:
    """Raise ConfigError unless both results are of the same items."""
    for key, name in (("set_key", "set"), ("n", "n"), ("seed", "seed")):
        if first[key] != second[key]:
            raise ConfigError(
                f"the two results are not of the same items: {name} {first[key]} against {second[key]}.",
                hint="A paired difference needs the same set, --n and --seed.",
            )
    if [row["item"] for row in first["rows"]] != [row["item"] for row in second["rows"]]:
        raise ConfigError(
            "the two results are not of the same items: the packaged set or the choice has changed.",
            hint="Measure both with this version (--again).",
        )


def _perplexity(pairs: list[tuple[Document, Document]]) -> Document:
    known = [(a, b) for a, b in pairs if a["nats"] is not None and b["nats"] is not None]
    same = [(a, b) for a, b in known if a["token_digest"] == b["token_digest"]]
    if not same:
        why = (
            "the two models cut the texts into different tokens"
            if known
            else "one of the two has no likelihood"
        )
        missing = dict.fromkeys(("ratio", "interval", "nats_per_token", "nats_interval"))
        return {**missing, "items": 0, "reason": f"not compared, because {why}"}
    mean = mean_difference([(_text(a), _text(b)) for a, b in same])
    left_out = len(pairs) - len(same)
    return {
        "ratio": mean.exponential,
        "interval": mean.exponential_interval,
        "nats_per_token": mean.nats_per_token,
        "nats_interval": mean.interval,
        "items": mean.items,
        "reason": f"{left_out} items have no likelihood of the same tokens in both" if left_out else "",
    }


def _text(row: Document) -> TextLikelihood:
    return TextLikelihood(row["nats"], row["tokens"])

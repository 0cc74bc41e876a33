"""Were answers as long as declared? Fixed and natural lengths are always verified: arms are compared on equal work.

An end of text before the declared length, or a server that ignores `ignore_eos`, shows here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accounting.records import RequestRecord

#: Share of answers of another length, or of tokens more or fewer in sum, from which lengths have drifted.
TOLERATED_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class LengthCheck:
    """Answers whose length was declared (`checked`), how many ended `shorter` or `longer`, and the sums of tokens.

    `reason` is empty where lengths are as declared, or none was.
    """

    checked: int
    shorter: int
    longer: int
    expected_tokens: int
    tokens: int
    reason: str


def check_lengths(records: Iterable[RequestRecord]) -> LengthCheck:
    """Compare every answered request that declared its length with what `usage` says."""
    pairs = [
        (r.completion_tokens, r.expected_tokens)
        for r in records
        if r.ok and r.completion_tokens is not None and r.expected_tokens is not None
    ]
    shorter = sum(got < wanted for got, wanted in pairs)
    longer = sum(got > wanted for got, wanted in pairs)
    tokens, expected = sum(got for got, _ in pairs), sum(wanted for _, wanted in pairs)
    reason = ""
    if pairs and (
        shorter + longer > TOLERATED_SHARE * len(pairs) or abs(tokens - expected) > TOLERATED_SHARE * expected
    ):
        reason = (
            f"{shorter} answers ended before their declared length and {longer} after it, of {len(pairs)}: "
            f"{tokens} tokens instead of {expected}"
        )
    return LengthCheck(len(pairs), shorter, longer, expected, tokens, reason)

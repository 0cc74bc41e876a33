"""Were answers as long as declared? Fixed and natural lengths are always verified: arms are compared on equal work.

An end of text before the declared length, or a server that ignores `ignore_eos`, shows here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from accounting.record_columns import UNKNOWN, Records, as_columns, total

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


def check_lengths(records: Records) -> LengthCheck:
    """Compare every answered request that declared its length with what `usage` says."""
    columns = as_columns(records)
    declared = columns.ok & (columns.completion_tokens != UNKNOWN) & (columns.expected_tokens != UNKNOWN)
    got, wanted = columns.completion_tokens[declared], columns.expected_tokens[declared]
    checked, shorter, longer = len(got), int((got < wanted).sum()), int((got > wanted).sum())
    tokens, expected = total(got), total(wanted)
    reason = ""
    if checked and (
        shorter + longer > TOLERATED_SHARE * checked or abs(tokens - expected) > TOLERATED_SHARE * expected
    ):
        reason = (
            f"{shorter} answers ended before their declared length and {longer} after it, of {checked}: "
            f"{tokens} tokens instead of {expected}"
        )
    return LengthCheck(checked, shorter, longer, expected, tokens, reason)

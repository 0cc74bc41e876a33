"""Can a drafter that remembers answers have known those of a cell beforehand?

Suffix decoding drafts from past answers and keeps them as long as its server lives: no reset clears them. A prompt that
was answered before is then drafted nearly perfectly, which no new prompt is. What a life has answered is in its counter
of generated tokens: all of them must be those of cells that we know, and none of these may have asked the same prompts.
"""

from __future__ import annotations

from dataclasses import dataclass

WAY_OUT = "restart the server before this cell, or let kilotoken start it"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerMemory:
    """What a server could remember when a cell began.

    `remembers` is None where it is not known (`not_judged` says why). Tokens are those generated in this server life
    before the cell, `unknown_tokens` those of them that no earlier cell of the run asked for. `asked_before` counts the
    window's prompts that an earlier cell asked in the same life. `reason` is the finding, empty where there is none.
    """

    remembers: bool | None = None
    generated_tokens: int | None = None
    unknown_tokens: int | None = None
    asked_before: int = 0
    reason: str = ""
    not_judged: str = ""


def judge_answer_memory(
    *,
    remembers: bool | None,
    why_unknown: str,
    generated_tokens: float,
    accounted_tokens: float,
    asked_before: int,
) -> AnswerMemory:
    """Judge one cell.

    Args:
        remembers: whether the drafter keeps answers; None where that could not be found out.
        why_unknown: why not.
        generated_tokens: of this server life when the cell began.
        accounted_tokens: those of them that earlier cells of the run asked for.
        asked_before: the window's prompts that were asked before in this life.
    """
    unknown = max(0, round(generated_tokens - accounted_tokens))
    found = []
    if remembers and unknown:
        found.append(
            f"the drafter remembers answers, and this server had generated {unknown} tokens that no cell of this run "
            f"accounts for: {WAY_OUT}"
        )
    if remembers and asked_before:
        found.append(
            f"the drafter remembers answers, and {asked_before} prompts of the window were asked before in this "
            f"server's life: {WAY_OUT}"
        )
    return AnswerMemory(
        remembers=remembers,
        generated_tokens=round(generated_tokens),
        unknown_tokens=unknown,
        asked_before=asked_before,
        reason="; ".join(found),
        not_judged=why_unknown if remembers is None else "",
    )

"""How long prompts and answers are in the mean, and how many tokens stand behind a sequence in the mean decode step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accounting.record_columns import UNKNOWN, Records, as_columns


@dataclass(frozen=True, slots=True)
class RequestMeans:
    """Of answered requests, tokens.

    `decode_context_tokens`: an answer of n tokens behind a prompt of p has its decode steps at p + 1 ... p + n - 1, p + n / 2 in
    the mean, and weighs as many steps as it has. With speculation steps are fewer and lie alike.
    """

    prompt_tokens: float
    answer_tokens: float
    decode_context_tokens: float


def request_means(records: Records) -> RequestMeans | None:
    """Means over the requests whose lengths are known; None without one that has a decode step."""
    columns = as_columns(records)
    known = columns.ok & (columns.prompt_tokens != UNKNOWN) & (columns.completion_tokens > 0)
    prompts, answers = columns.prompt_tokens[known], columns.completion_tokens[known]
    if not (answers > 1).any():
        return None
    return RequestMeans(
        float(prompts.mean()),
        float(answers.mean()),
        float(np.average(prompts + answers / 2.0, weights=answers - 1)),
    )

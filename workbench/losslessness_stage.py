"""Recorded greedy texts -> losslessness/<arm>.json: what is known of each speculating arm's answers. Needs no server.

A document holds one judgement per dtype that was asked for, or the one word and reason why there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accounting.losslessness import judge
from workbench.experiment import ArmConfig, AttachSection, Experiment
from workbench.losslessness_answers import AGAIN, FIRST, RecordedPass, pass_file, read_pass
from workbench.losslessness_block import block_that_asks
from workbench.losslessness_document import losslessness_document
from workbench.losslessness_scope import NOT_MEASURED, Scope, losslessness_scope
from workbench.losslessness_subjects import is_said_to_speculate, numerics_that_differ
from workbench.pair_count import fixed_pairs, wanted_blocks
from workbench.plan import BlockPlan
from workbench.run_directory import BlockDirectory, RunDirectory, write_json

Document = dict[str, Any]
FORMAT = "kilotoken-run-losslessness/1"
_NOT_ASKED = (
    "the budget ended the run before the last block that was laid out, after which a running server is asked"
)


class _NotMeasuredError(Exception):
    """Why two servers' texts cannot be held against each other, in a user's words."""


def write_losslessness(run: RunDirectory, experiment: Experiment) -> None:
    """Judge every speculating arm from the files of the run.

    Raises:
        RunError: if a recorded pass is damaged.
    """
    configs = experiment.arm_configs(origin=str(run.path))
    scope = losslessness_scope(experiment, configs)
    for arm in experiment.arms:
        judgements = list(_judgements(run, experiment, scope, configs, arm))
        if judgements:
            path = run.path / "losslessness" / f"{arm}.json"
            path.parent.mkdir(exist_ok=True)
            facts = {"format": FORMAT, "arm": arm, "baseline": scope.baseline}
            write_json(path, facts | {"judgements": judgements})


def _judgements(
    run: RunDirectory, experiment: Experiment, scope: Scope, configs: dict[str, ArmConfig], arm: str
) -> Iterator[Document]:
    if arm in scope.unasked:
        word, reason = scope.unasked[arm]
        yield {"dtype": _declared(configs[arm]), "word": word, "reason": reason}
    if arm not in scope.asked:
        return
    plan = run.plan()
    blocks = wanted_blocks(run, experiment)
    pair = [block_that_asks(blocks, each, configs[each]) for each in (scope.baseline, arm)]
    if not isinstance(configs[arm], AttachSection) or _was_asked(run, pair[1]):
        yield _judged(run, pair, _declared(configs[arm]))
    elif (fixed_pairs(run) or {}).get("limited_by") == "budget":
        yield {"dtype": _declared(configs[arm]), "word": NOT_MEASURED, "reason": _NOT_ASKED}
    in_float32 = {block.arm: block for block in plan.lossless}
    if arm in in_float32:
        yield _judged(run, [in_float32[scope.baseline], in_float32[arm]], "float32")


def _declared(config: ArmConfig) -> str:
    dtype = "auto" if isinstance(config, AttachSection) else config.model.dtype
    return "as served" if dtype == "auto" else dtype


def _was_asked(run: RunDirectory, block: BlockPlan | None) -> bool:
    """Of a server that runs already: whether it was seen to speculate, so that it has a pass."""
    attempt = None if block is None else run.finished(block)
    return attempt is not None and pass_file(attempt.path, FIRST).is_file()


def _judged(run: RunDirectory, pair: list[BlockPlan | None], dtype: str) -> Document:
    """Baseline's block and arm's block -> one judgement; `dtype` is what was declared."""
    try:
        attempts = [_attempt(run, block) for block in pair]
        ours, again, theirs = (
            _pass(attempt, name)
            for attempt, name in zip((attempts[0], *attempts), (FIRST, AGAIN, FIRST), strict=True)
        )
        _check(ours, theirs, dtype)
    except _NotMeasuredError as lack:
        return {"dtype": dtype, "word": NOT_MEASURED, "reason": str(lack)}
    found = judge(ours.texts, again.texts, theirs.texts)
    return {
        "dtype": theirs.facts["dtype"],
        "word": str(found.word),
        "reason": found.reason,
        "blocks": [attempt.path.name for attempt in attempts],
        **losslessness_document(found, [prompt for prompt, _ in ours.prompts]),
    }


def _attempt(run: RunDirectory, block: BlockPlan | None) -> BlockDirectory:
    attempt = None if block is None else run.finished(block)
    if attempt is None:
        named = "a block of it is not planned" if block is None else f"block {block.block_id} is not finished"
        raise _NotMeasuredError(named)
    return attempt


def _pass(attempt: BlockDirectory, name: str) -> RecordedPass:
    recorded = read_pass(pass_file(attempt.path, name))
    if recorded is None:
        raise _NotMeasuredError(f"no greedy texts were asked for in blocks/{attempt.path.name}")
    if recorded.reason:
        raise _NotMeasuredError(f"{recorded.facts['arm']}: {recorded.reason}")
    return recorded


def _check(ours: RecordedPass, theirs: RecordedPass, dtype: str) -> None:
    """Both must have answered the same tokens with the same number formats, and the baseline one token at a time."""
    before, after = ours.facts, theirs.facts
    if is_said_to_speculate(before["speculation"]):
        raise _NotMeasuredError(f"the baseline {before['arm']} speculates itself ({before['speculation']})")
    differs = numerics_that_differ(before["numerics"], after["numerics"])
    if differs:
        raise _NotMeasuredError(f"the engines resolved different numerics: {differs}")
    if dtype == "float32" != after["dtype"]:
        raise _NotMeasuredError(f"float32 was asked for, and the engine resolved {after['dtype']}")
    if ours.prompts != theirs.prompts:
        raise _NotMeasuredError(
            f"the two make different tokens of the same prompts: {before['arm']} serves {before['model']}, "
            f"{after['arm']} {after['model']}"
        )

"""The `kilotoken replay` command: argv in, `replay_command` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from accounting.errors import ConfigError
from workbench.terminal import JsonFlag, UncheckedFlag, err, out, print_json


def replay(
    traces: Annotated[Path, typer.Argument(help="Answers as token ids, JSON Lines.", show_default=False)],
    method: Annotated[
        Literal["ngram", "suffix", "draft"], typer.Option(help="Drafter to replay; draft: a model or a head.")
    ] = "ngram",
    draft: Annotated[
        str | None, typer.Option(help="draft: the draft model or EAGLE-3 head, a name or a directory.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="draft: the target whose answers these are, a name or a directory.")
    ] = None,
    k: Annotated[
        str | None,
        typer.Option(
            "--k", help="Drafted tokens per step: 4, 1..8 or 2,4; suffix: 24, draft: 1..5 by default."
        ),
    ] = None,
    shortest: Annotated[int, typer.Option("--prompt-lookup-min", min=1, help="ngram: shortest match.")] = 2,
    longest: Annotated[int, typer.Option("--prompt-lookup-max", min=1, help="ngram: longest match.")] = 4,
    runner: Annotated[
        Literal["v1", "v2"],
        typer.Option(help="ngram: vLLM's model runner; v1 on CPU, v2 on CUDA unless its log says otherwise."),
    ] = "v1",
    max_model_len: Annotated[
        int | None, typer.Option(min=1, help="The server's longest sequence, in tokens; unbounded without.")
    ] = None,
    tree_depth: Annotated[int, typer.Option(min=1, help="suffix: longest match plus draft.")] = 24,
    cached_requests: Annotated[int, typer.Option(min=0, help="suffix: past answers remembered.")] = 10000,
    spec_factor: Annotated[float, typer.Option(min=0, help="suffix: drafted per matched token.")] = 1.0,
    min_token_prob: Annotated[float, typer.Option(min=0, max=1, help="suffix: least probability.")] = 0.1,
    sample_method: Annotated[
        Literal["greedy", "probabilistic"],
        typer.Option("--draft-sample-method", help="draft: as the server's, for sampled answers."),
    ] = "greedy",
    unchecked: UncheckedFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Count what a drafter would have had accepted in logged answers: exact; n-grams and suffixes need no model."""
    from drafts.replay.ngram import NgramWindow, Runner
    from drafts.replay.suffix import SuffixSettings
    from workbench.replay_command import Drafter, draft_lengths, replay_table, replayed
    from workbench.replay_draft import DraftModel

    ks = draft_lengths(k or {"ngram": "1..8", "suffix": "24", "draft": "1..5"}[method])
    given = [name for name in (draft, target) if name]
    if len(given) != (2 if method == "draft" else 0):
        raise ConfigError(
            "--method draft goes with --draft and --target, and they with it.",
            hint="For example: kilotoken replay traces.jsonl --method draft --draft DIR --target tinyllama-1.1b-chat",
        )
    drafter: Drafter
    if draft and target:
        drafter = DraftModel(draft, target, unchecked=unchecked, sample_method=sample_method)
    elif method == "ngram":
        drafter = NgramWindow(shortest, longest, Runner(runner))
    else:
        drafter = SuffixSettings(
            max_tree_depth=tree_depth,
            max_cached_requests=cached_requests,
            max_spec_factor=spec_factor,
            min_token_prob=min_token_prob,
        )
    document = replayed(traces, drafter, ks, max_model_len, report=_say)
    if as_json:
        print_json(document)
    else:
        out.print(replay_table(document))


def _say(stage: str, done: int, total: int | None) -> None:
    """A line for every tenth of a long pass."""
    if total is None or done % max(1, total // 10) == 0:
        err.print(f"  {stage}: {done:,}" + (f" of {total:,}" if total else ""), markup=False)

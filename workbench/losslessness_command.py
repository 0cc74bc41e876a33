"""What `kilotoken losslessness` does: the baseline asked twice, the candidate once, judged, written as one document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError, RunError
from accounting.losslessness import LEAST_PROMPTS, Losslessness, LosslessnessWord, judge
from loadtest.workloads import Prompt, Split, Workload, load_workload
from workbench.experiment import AttachSection, validated
from workbench.losslessness_asking import GreedyAnswer
from workbench.losslessness_document import losslessness_document
from workbench.losslessness_pass import PassManner, greedy_pass
from workbench.losslessness_subjects import check_comparable, facts_of, speculation_of
from workbench.run_directory import write_json
from workbench.server_under_test import ServerUnderTest, attached_server

Document = dict[str, Any]
Say = Callable[[str], None]
FORMAT = "kilotoken-losslessness/1"

EXIT_CODES = {
    LosslessnessWord.LOSSLESS: 0,
    LosslessnessWord.WITHIN_NOISE: 0,
    LosslessnessWord.LOSSY: 3,
    LosslessnessWord.CANNOT_TELL: 4,
}


@dataclass(frozen=True, slots=True)
class LosslessnessRequest:
    """What is asked of whom. The baseline's second pass has `again_concurrency`, and the prompts in reverse order."""

    baseline: str
    candidate: str
    workload: str
    prompts: int
    tokens: int
    concurrency: int
    again_concurrency: int
    seed: int
    stop_at_end: bool = False
    model: str | None = None
    api_key_env: str | None = None


def measure_losslessness(request: LosslessnessRequest, *, out: Path | None, say: Say) -> Document:
    """Ask, judge, and write the document to `out`, if given.

    Raises:
        ConfigError: for options or servers that cannot be compared, before anything is generated where possible.
        RunError: if `out` cannot be written.
        ServerError: if a server does not answer every prompt with token ids and log-probabilities.
    """
    _check(request)
    if out is not None and (out.is_dir() or not out.resolve().parent.is_dir()):
        raise RunError(f"--out {out} cannot be written: it is a directory, or there is none to write it in.")
    say("reading the workload")
    workload = load_workload(request.workload, seed=request.seed)
    prompts = _chosen(workload, request)
    with (
        attached_server(_attach("--baseline", request.baseline, request)) as baseline,
        attached_server(_attach("--candidate", request.candidate, request)) as candidate,
    ):
        check_comparable(baseline, candidate)
        first = _pass(request, baseline, prompts, PassManner(request.concurrency), "baseline", say)
        other = _pass(request, candidate, prompts, PassManner(request.concurrency), "candidate", say)
        _check_prompts(prompts, first, other)
        again = PassManner(request.again_concurrency, reverse=True)
        second = _pass(request, baseline, prompts, again, "baseline again", say)
    found = judge(*([answer.text for answer in passed] for passed in (first, second, other)))
    document = _document(request, workload, prompts, baseline, candidate, found)
    if out is not None:
        try:
            write_json(out, document)
        except OSError as error:  # its usual exit status, 3, means lossy here
            raise RunError(f"--out {out} cannot be written: {error.strerror or error}.") from error
    return document


def _check(request: LosslessnessRequest) -> None:
    if request.prompts < LEAST_PROMPTS:
        raise ConfigError(
            f"--prompts {request.prompts} is too few: at least {LEAST_PROMPTS} are needed.",
            hint="Fewer could miss a server that gets one token in 500 wrong.",
        )
    if request.concurrency == request.again_concurrency:
        raise ConfigError(
            f"--concurrency and --again-concurrency are both {request.concurrency}.",
            hint="The baseline's noise shows in other batches: ask it again with another number in flight.",
        )
    if request.baseline.rstrip("/") == request.candidate.rstrip("/"):
        raise ConfigError(
            f"--baseline and --candidate are the same server, {request.baseline}.",
            hint="The baseline is compared with itself anyway; the candidate is the server that speculates.",
        )


def _attach(option: str, url: str, request: LosslessnessRequest) -> AttachSection:
    given = {"url": url, "model": request.model, "api_key_env": request.api_key_env}
    return validated(AttachSection, {key: value for key, value in given.items() if value}, origin=option)


def _chosen(workload: Workload, request: LosslessnessRequest) -> Sequence[Prompt]:
    prompts = workload.of(Split.MEASURED)
    if len(prompts) < request.prompts:
        raise ConfigError(
            f"workload {workload.name} has {len(prompts)} measured prompts, not the {request.prompts} asked for.",
            hint=f"At least {LEAST_PROMPTS} are needed; take another workload, or a mix such as chat*0.5+copy*0.5.",
        )
    return prompts[: request.prompts]


def _pass(
    request: LosslessnessRequest,
    server: ServerUnderTest,
    prompts: Sequence[Prompt],
    manner: PassManner,
    label: str,
    say: Say,
) -> list[GreedyAnswer]:
    return greedy_pass(
        server,
        prompts,
        manner,
        max_tokens=request.tokens,
        ignore_eos=not request.stop_at_end,
        report=lambda done, total: say(f"{label}: {done} of {total} prompts"),
    )


def _check_prompts(
    prompts: Sequence[Prompt], first: Sequence[GreedyAnswer], other: Sequence[GreedyAnswer]
) -> None:
    """Two models of one name, or two chat templates, show in what they make of a prompt."""
    for prompt, ours, theirs in zip(prompts, first, other, strict=True):
        if ours.prompt_token_ids != theirs.prompt_token_ids:
            raise ConfigError(
                f"baseline and candidate make different tokens of prompt {prompt.prompt_id} "
                f"({len(ours.prompt_token_ids)} and {len(theirs.prompt_token_ids)} of them).",
                hint="They serve different models, tokenizers or chat templates: there is nothing to compare.",
            )


def _document(
    request: LosslessnessRequest,
    workload: Workload,
    prompts: Sequence[Prompt],
    baseline: ServerUnderTest,
    candidate: ServerUnderTest,
    found: Losslessness,
) -> Document:
    return {
        "format": FORMAT,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "verdict": str(found.word),
        "reason": found.reason,
        "model": baseline.model_name,
        "workload": {"name": workload.name, "source": workload.source, "seed": request.seed},
        "prompts": request.prompts,
        "tokens": request.tokens,
        "ignore_eos": not request.stop_at_end,
        "concurrency": request.concurrency,
        "again_concurrency": request.again_concurrency,
        "servers": {
            label: {"url": server.base_url, "version": server.version, "speculation": speculation_of(server)}
            | facts_of(server)
            for label, server in (("baseline", baseline), ("candidate", candidate))
        },
        **losslessness_document(found, [prompt.prompt_id for prompt in prompts]),
    }

"""What `kilotoken draft make` does: the target answers, a draft learns, is checked, is compared, gets its card.

Each stage leaves its files in the directory and is not done again; what was begun goes on where it was.

  make.json     what was asked for, what came of each stage, how long it took
  traces/       the target's answers (kilotoken collect), or a copy of those that were given
  training/     job.json, what the target says of each answer, the state of the training
  draft/        the draft: weights, manifest, parity record, verdict, card
  compare.yaml  run/   the target alone against the target with the draft (kilotoken run)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from serving.models.checkpoint_facts import read_checkpoint_facts
from workbench.drafting.asking import ask_target
from workbench.drafting.card import write_card
from workbench.drafting.check import CheckRequest, check_draft
from workbench.drafting.comparison import comparable, comparison_rows, write_comparison_experiment
from workbench.drafting.given_traces import take_traces
from workbench.drafting.live import LiveAsk
from workbench.drafting.request import MakeRequest
from workbench.drafting.sections import longest
from workbench.drafting.stages import Stages
from workbench.drafting.time_budget import shares
from workbench.drafting.trainer import check_job, train_draft, training_job
from workbench.models import resolve_model
from workbench.status_line import steps

Document = dict[str, Any]
Say = Callable[[str], None]
#: Runs an experiment file into a directory, or goes on there.
RunExperiment = Callable[[Path, Path], None]
#: Prompts of each workload for the check: enough drafts even where there are few and answers are short.
CHECK_PROMPTS = 60


@dataclass(frozen=True, slots=True)
class MadeDraft:
    """A draft that was trained and checked, and what is left to do with it."""

    request: MakeRequest
    document: Document
    stages: Stages
    compared: tuple[str, ...]
    target_directory: Path


def make_draft(
    request: MakeRequest, *, argv: Sequence[str], say: Say, clock: Callable[[], float] = time.monotonic
) -> MadeDraft:
    """Collect, train and check, as far as it is left to do.

    Raises:
        KilotokenError: if the budget is too small, the directory was begun otherwise, something asked for cannot be trained, or
            a stage fails; what was done is kept.
    """
    compared = comparable(request.workloads, seed=request.seed) if request.compare else ()
    planned = shares(request.budget_s, workloads=len(compared), compared=bool(compared))
    stages = Stages(request.out, clock=clock)

    def tell(text: str) -> None:
        say(text)
        stages.going_on()

    stages.settle("asking", request.of_asking())
    if not (request.out / "training" / "last").exists() and not stages.is_done("training"):
        stages.unsettle("training")  # a setting that was refused may be mended
    stages.settle("training", request.of_training())
    target = resolve_model(request.target, base_dir=Path(), report=steps(tell))
    training_s = planned.training_s + (planned.asking_s if request.traces else 0.0)
    job = training_job(request, target, argv=argv, budget_s=training_s, report=steps(tell))
    if not stages.is_done("training"):
        check_job(request, job, report=steps(tell))  # a mistake must not show after an hour of asking
    if request.traces is not None:
        names = (target.name, request.target)
        answers = partial(take_traces, request.traces, request.out / "traces", target=names)
    else:
        left_s = max(0.0, planned.asking_s - stages.spent_s("asking"))
        answers = partial(ask_target, request, argv=argv, stop_after_s=left_s, say=tell)
    collected = stages.once("asking", answers)
    result = stages.once("training", partial(train_draft, request, job, say=tell))
    checked = stages.once("check", partial(_check, request, tell), counts=lambda found: bool(found["passed"]))
    document = {
        "target": request.target, "kind": request.kind, "draft": str(request.out / "draft"),
        "collected": collected, "training": result, "check": checked,
    }  # fmt: skip
    return MadeDraft(
        request, document, stages, compared if checked["passed"] else (), Path(target.served_from)
    )


def compare_made(made: MadeDraft, run: RunExperiment) -> Document:
    """Compare with no speculation where that is meant, and write the card; the whole document.

    Raises:
        KilotokenError: if the comparison fails, or was begun at another price or k; what was made is kept.
    """
    request, stages = made.request, made.stages
    rows: list[Document] = []
    if made.compared:
        stages.settle("comparison", request.of_comparison())
        stages.once("comparison", partial(_compare, made, run))
        rows = comparison_rows(request.out / "run")
    document = made.document | {
        "comparison": rows, "compared": list(made.compared), "took_s": stages.all_spent_s(),
        "not_compared": None if made.compared else _why_not_compared(request, made.document["check"]),
    }  # fmt: skip
    write_card(request.out / "draft", document, priced=request.price is not None)
    return document


def _why_not_compared(request: MakeRequest, check: Document) -> str:
    if not request.compare:
        return "--no-compare"
    if not check["passed"]:
        return "it failed its check"
    return "no workload keeps prompts for training, warm-up and measuring apart"


def _check(request: MakeRequest, say: Say) -> Document:
    """As `kilotoken draft check` does; a draft that fails is not compared."""
    ask = LiveAsk(request.workloads, CHECK_PROMPTS)
    asked = CheckRequest(str(request.out / "draft"), request.target, request.drafted, ask)
    found = check_draft(asked, base_dir=Path(), log=request.out / "check.log", say=say)
    return {key: found[key] for key in ("passed", "problems", "parity", "live")}


def _compare(made: MadeDraft, run: RunExperiment) -> Document:
    """The target alone against the target with the draft, on prompts that it has not seen."""
    request, file = made.request, made.request.out / "compare.yaml"
    write_comparison_experiment(
        file, target=request.target, kind=request.kind, draft=(request.out / "draft").resolve(), k=request.drafted,
        workloads=made.compared, price=request.price, seed=request.seed,
        max_model_len=longest(read_checkpoint_facts(made.target_directory)),
    )  # fmt: skip
    run(file, request.out / "run")
    return {"run": "run"}

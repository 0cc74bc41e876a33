"""Two runs compared, of two boxes or two dates: unpaired, and labelled so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accounting.errors import ConfigError, RunError
from workbench.compare_document import adjusted, not_valid, resolved
from workbench.compare_metrics import Metric
from workbench.compare_subjects import Subject, cells_of, check_arm, refuse_other_model
from workbench.compared_arms import unpaired_row
from workbench.loads import CAPACITY
from workbench.pair_count import counted_repeats
from workbench.two_runs_notes import answer_notes, scores, work_notes


def compare_two_runs(
    first: Subject,
    second: Subject,
    names: list[str],
    metrics: Sequence[Metric],
) -> dict[str, Any]:
    """The document of arms of one name in both runs, or of the named ones.

    Raises:
        RunError: if the runs share nothing that can be compared.
        ConfigError: for an arm that is none, or one run given twice.
    """
    (run, experiment), (other_run, other) = first, second
    common = [arm for arm in experiment.arms if arm in other.arms]
    if names:
        pairs = [(names[0], names[-1])]
        check_arm(names[0], list(experiment.arms), run.path)
        check_arm(names[-1], list(other.arms), other_run.path)
    elif common:
        pairs = [(arm, arm) for arm in common]
    else:
        raise RunError(
            f"{run.path} and {other_run.path} have no arm of the same name.",
            hint=f"Name one of each: {', '.join(experiment.arms)}; {', '.join(other.arms)}.",
        )
    if run.path.resolve() == other_run.path.resolve():
        raise ConfigError(
            "both runs are the same directory.", hint="Name two arms to compare within it, paired."
        )
    for one, two in pairs:
        refuse_other_model(first, one, second, two)
    places = [
        (w, level.label)
        for w in experiment.workloads
        if w in other.workloads
        for level in experiment.loads.levels
        if level in other.loads.levels
    ]
    if not places:
        raise RunError("the two runs share no workload at the same load: nothing is comparable.")
    counts = [counted_repeats(*subject) for subject in (first, second)]
    for (one_run, _), counted in zip((first, second), counts, strict=True):
        if len(counted) < 2:
            raise RunError(
                f"{one_run.path} has one block per arm: nothing is known of the noise between its blocks.",
                hint="Run it with `repeats: 4` or more.",
            )
    subjects = (first, second)
    notes = work_notes(subjects, dict.fromkeys(workload for workload, _ in places))
    if experiment.slo != other.slo:
        notes.append(
            "the SLOs differ: metrics within the SLO are left out, and so are loads that an SLO chose"
        )
        metrics = [metric for metric in metrics if not metric.within_slo]
        places = [place for place in places if place[1] != CAPACITY]
        if not places:
            raise RunError(
                "the SLOs differ, and each run's loads were chosen by its own: nothing is comparable."
            )
    notes += answer_notes(subjects, pairs)
    # Every arm that both runs have, also where one is named: choosing after a look changes no word.
    family = max(len(common), len(pairs))
    sides = (cells_of(run), cells_of(other_run))
    rows = [
        unpaired_row(sides, metric, pair, place, family, counts)
        for metric in metrics
        for place in places
        for pair in pairs
    ]
    return {
        "run": str(run.path),
        "against_run": str(other_run.path),
        "design": "unpaired",
        "family": family,
        "comparisons": adjusted(rows, family),
        "same_arms": [],
        "cells_not_valid": [
            *not_valid(sides[0], [a for a, _ in pairs], str(run.path)),
            *not_valid(sides[1], [b for _, b in pairs], str(other_run.path)),
        ],
        "resolved_differences": {a: resolved(run, a, other_run, b) for a, b in pairs},
        "deciding": {"reason": "unpaired: the number of pairs is not known from blocks of two runs"},
        "quality": scores(subjects, pairs),
        "notes": notes,
    }

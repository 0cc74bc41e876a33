"""A draft's card: what a person must know before serving it, in one page of Markdown beside the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from accounting.errors import ModelError
from drafts.manifest import Manifest, read_manifest

FILE = "CARD.md"
Document = dict[str, Any]
_KINDS = {"distil": "draft model (`draft_model`)", "eagle3": "EAGLE-3 head (`eagle3`)"}


def write_card(directory: Path, document: Document, *, priced: bool) -> None:
    """Write the card of the draft in `directory`; `document` is that of `draft make`.

    Raises:
        ModelError: if there is no manifest.
    """
    manifest = read_manifest(directory)
    if manifest is None:
        raise ModelError(f"{directory} has no manifest: there is nothing to write a card of.")
    text = "\n".join(_lines(manifest, document, priced))
    (directory / FILE).write_text(text + "\n", encoding="utf-8")


def _lines(manifest: Manifest, document: Document, priced: bool) -> Iterator[str]:
    yield f"# {manifest.name}"
    yield ""
    yield f"A {_KINDS[manifest.kind]} for **{manifest.target.name}** (files `{manifest.target.sha256[:12]}`), made {manifest.made_at[:10]}."
    yield f"Licence: {manifest.licence}."
    yield ""
    yield from _data(manifest)
    yield from _training(manifest)
    yield from _check(document.get("check"))
    yield from _comparison(document.get("comparison") or [], priced)
    yield from _made(manifest, document.get("took_s") or {})


def _data(manifest: Manifest) -> Iterator[str]:
    data = manifest.data
    if not data:
        return
    names = ", ".join(workload["name"] for workload in data["workloads"])
    yield "## Learned from"
    yield ""
    yield f"Answers of the target itself to the training prompts of {names} (seed {data['seed']}); {data['sampling']}; at most"
    yield f"{data['max_tokens']} tokens an answer. Templates of the held-out prompts are others; prompts to measure with were not asked."
    yield ""
    yield "| part | answers | prompt tokens | answer tokens |"
    yield "|---|---|---|---|"
    for name, part in data["parts"].items():
        yield f"| {name} | {part['traces']:,} | {part['prompt_tokens']:,} | {part['output_tokens']:,} |"
    yield ""


def _training(manifest: Manifest) -> Iterator[str]:
    metrics, settings = manifest.metrics, manifest.settings
    yield "## Training"
    yield ""
    yield f"{metrics['steps']:,} steps in {metrics['elapsed_s'] / 60:.0f} minutes, ended because: {metrics['ended']}; the best look was at step"
    yield f"{metrics['best_step']:,}. Loss {_number(metrics['loss_first'])} at first, {_number(metrics['loss_last'])} at last."
    shown = ", ".join(f"{key} {value}" for key, value in sorted(settings.items()))
    yield f"Settings: {shown}."
    yield ""
    yield "Simulated on the held-out answers (greedy, exact up to near-ties; k is the last position):"
    yield ""
    positions = len(metrics["after"]["survival"])
    yield "| | AL | " + " | ".join(f"s{i + 1}" for i in range(positions)) + " |"
    yield "|---|---|" + "---|" * positions
    for name in ("before", "after"):
        row = metrics[name]
        yield (
            f"| {name} training | {row['acceptance_length']:.2f} | "
            + " | ".join(f"{s:.2f}" for s in row["survival"])
            + " |"
        )
    if "coverage" in metrics:
        yield ""
        yield f"It drafts {metrics['draft_vocabulary']:,} of the target's tokens, which are {metrics['coverage']:.1%} of the held-out answers."
    yield ""


def _check(check: Document | None) -> Iterator[str]:
    if check is None:
        return
    yield "## Check"
    yield ""
    yield (
        "Passed."
        if check["passed"]
        else "FAILED: " + "; ".join(problem.rstrip(".") for problem in check["problems"]) + "."
    )
    live = check["live"]
    if "positions" in live:
        yield f"In a live server, {live['answers']} answers of {', '.join(live['workloads'])}, {live['drafts']:,} drafts:"
        yield ""
        yield "| position | live | replay |"
        yield "|---|---|---|"
        for row in live["positions"]:
            yield f"| {row['position']} | {row['live']:.1%} | {row['replay']:.1%} |"
    yield ""


def _comparison(rows: Sequence[Document], priced: bool) -> Iterator[str]:
    if not rows:
        return
    yield "## Against no speculation"
    yield ""
    yield "One stream, prompts that neither training nor selection has seen, pairs of server lives."
    if not priced:
        yield "No price was given: the ratio of costs holds at any price of the same machine."
    yield ""
    yield "| workload | cost, draft over none | 95 % interval | tokens/s | word | answers |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        interval = "-" if row["interval"] is None else f"{row['interval'][0]:.3f} to {row['interval'][1]:.3f}"
        ratio = "-" if row["cost_ratio"] is None else f"{row['cost_ratio']:.3f}"
        speedup = "-" if row["speedup"] is None else f"{row['speedup']:.2f}x"
        yield f"| {row['workload']} | {ratio} | {interval} | {speedup} | {row['word']} | {row['losslessness']} |"
    yield ""


def _made(manifest: Manifest, took_s: Document) -> Iterator[str]:
    yield "## Made by"
    yield ""
    yield "```"
    yield manifest.command or "(not said)"
    yield "```"
    yield ""
    if took_s:
        yield "Minutes: " + ", ".join(f"{name} {seconds / 60:.0f}" for name, seconds in took_s.items()) + "."
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    yield f"With {versions}. Files (SHA-256):"
    yield ""
    for name, digest in manifest.files.items():
        yield f"- `{name}` `{digest}`"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

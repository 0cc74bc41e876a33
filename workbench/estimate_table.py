"""An estimate as a person reads it: the answer first, then the few tables that it rests on, more of them when asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from accounting.estimate.worked_example import WorkedExample
from workbench.estimate_parallel import parallel_sentences
from workbench.estimate_routing import routing_sentence
from workbench.estimate_training import training_sentence
from workbench.titled_table import titled_table

Document = dict[str, Any]
DASH = "–"
GIB, KIB = 2.0**30, 2.0**10
_PARTS = {
    "embedding": "embedding", "head": "output head", "queries": "queries and output", "keys_values": "keys and values",
    "state_space": "state space", "feed_forward": "feed-forward, experts", "router": "router", "norms": "norms",
}  # fmt: skip


def estimate_table(document: Document, *, explain: bool) -> Group:
    """The estimate; with `explain` also parameters by part, formats, operations and the times of a step."""
    parts: list[Any] = [Text(_headline(document), style="bold"), _answers(document)]
    parts.append(Text(document["slo"]["sentence"], style="green" if document["slo"]["met"] else "yellow"))
    if explain:
        parts += [_parameters(document), _formats(document), _operations(document), _step(document)]
    if document["measured"]["cells"]:
        parts.append(_beside(document["measured"]))
    parts += [Text(f"  {said}") for said in _further(document)]
    routed = document.get("routing") or {"notes": ()}
    of_large = (f"{routed['large']}: {note}" for note in routed["notes"])
    notes = (*document["notes"], *of_large, *document["measured"]["skipped"])
    parts += [Text(f"  {note}", style="dim") for note in notes]
    device = document["device"]
    parts.append(Text(f"  {device['name']}: {device['source']}, as of {device['as_of']}", style="dim"))
    if document["cost"]["reason"] is None:
        cost = document["cost"]
        parts.append(Text(f"  price: {cost['source']}, as of {cost['as_of']}", style="dim"))
    return Group(*parts)


def _headline(document: Document) -> str:
    model, device, load = document["model"], document["device"], document["load"]
    ways = f"{device['devices']} x " if device["devices"] > 1 else ""
    return (
        f"{model['name']} ({_count(model['parameters'])} parameters, {document['memory']['weights']}) on {ways}"
        f"{device['name']}, batch {load['batch']}, {load['input_tokens']} + {load['output_tokens']} tokens"
    )


def _further(document: Document) -> list[str]:
    """What was asked for beside serving, and what dividing the model brings."""
    said = parallel_sentences(document["parallelism"], tensor=document["device"]["tensor"])
    if document["training"] is not None:
        said.append(training_sentence(document["training"]))
    if document.get("routing") is not None:
        said.append(routing_sentence(document["routing"]))
    return said


def _answers(document: Document) -> Table:
    cost, joules, memory, step = (
        document[key] for key in ("cost", "joules_per_1k_output_tokens", "memory", "step")
    )
    shown = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    per_1k, per_1m = (cost.get(f"usd_per_{unit}_output_tokens") for unit in ("1k", "1m"))
    rows = [
        ("output tokens/s", f"{document['output_tokens_per_s']:,.1f}"),
        ("TPOT", f"{document['tpot_s'] * 1000:.3g} ms, a step waits for {step['bound']}"),
        ("TTFT at least", f"{document['ttft_s'] * 1000:.3g} ms"),
        ("$ per 1k output tokens", DASH if per_1k is None else f"{per_1k:.4g} ({per_1m:.4g} per million)"),
        (
            "joules per 1k output tokens",
            f"{DASH} {joules['reason']}"
            if joules["value"] is None
            else f"{joules['value']:.4g} at full board power",
        ),
        ("weights per device", f"{memory['weight_bytes_per_device'] / GIB:.2f} GiB"),
        ("cache per token", f"{memory['cache_bytes_per_token'] / KIB:.4g} KiB"),
        ("largest batch that fits", f"{memory['largest_batch']:,}"),
    ]
    if document["speculation"] is not None:
        rows.insert(3, ("tokens per step", f"{document['speculation']['tokens_per_step']:.3g}"))
    if cost["reason"] is None and cost["duty_cycle"] < 1:
        rows.insert(
            4,
            ("duty cycle", f"{cost['duty_cycle']:.0%}; always busy {cost['usd_per_1k_at_full_duty']:.4g} $"),
        )
    for name, value in rows:
        shown.add_row(name, value)
    if cost["reason"] is not None:
        shown.add_row("", f"no dollars: {cost['reason']}")
    return shown


def _parameters(document: Document) -> Table:
    model = document["model"]
    shown = titled_table("Parameters by part")
    shown.add_column("part")
    shown.add_column("parameters", justify="right")
    shown.add_column("share", justify="right")
    for part, count in model["parameters_by_part"].items():
        if count:
            shown.add_row(_PARTS[part], f"{count:,}", f"{count / model['parameters']:.1%}")
    shown.add_row("in all", f"{model['parameters']:,}", "")
    if model["active_parameters"] != model["parameters"]:
        shown.add_row("passed through by a token", f"{model['active_parameters']:,}", "")
    touched = model["experts_touched"]
    if touched:
        said = ", ".join(f"{count:.3g} by {tokens}" for tokens, count in touched.items())
        shown.add_row(f"experts touched (tokens): {said}", "", "")
    return shown


def _formats(document: Document) -> Table:
    shown = titled_table("Weights in each format")
    shown.add_column("format")
    shown.add_column("GiB", justify="right")
    for form, size in document["model"]["weight_bytes"].items():
        shown.add_row(form, f"{size / GIB:.3f}")
    return shown


def _operations(document: Document) -> Table:
    operations = document["operations"]
    shown = titled_table("Operations")
    shown.add_column("what")
    shown.add_column("FLOPs", justify="right")
    for key, words in (
        ("prefill_flops", "prefill of one prompt"), ("decode_flops_per_token", "one generated token"),
        ("of_projections", "  of projections"), ("of_attention", "  of attention among tokens"),
        ("of_head", "  of the output head"),
    ):  # fmt: skip
        shown.add_row(words, f"{operations[key]:.4g}")
    masks = zip(
        (operations["attention_equals_its_projections_at"], operations["attention_exceeds_all_else_at"]),
        operations["without_a_mask"] or (None, None),
        ("attention's s² term equals its projections at", "and exceeds all the rest at"),
        strict=True,
    )
    for causal, open_, words in masks:
        shown.add_row(f"{words} (causal; no mask)", f"{_tokens(causal)}; {_tokens(open_)}")
    return shown


def _tokens(at: float | None) -> str:
    return "never" if at is None else f"{at:,.0f} tokens"


def _step(document: Document) -> Table:
    shown = titled_table("Seconds of a step (memory and compute overlap)")
    for name in ("step", "memory", "compute", "link", "overhead", "whole", "waits for"):
        shown.add_column(name, justify="left" if name in ("step", "waits for") else "right")
    together = f"prefill of {document['prefill_together']['prompts']:.4g} prompts together"
    for name, words in (
        ("prefill", "prefill of a prompt"),
        ("prefill_together", together),
        ("step", "decode"),
    ):
        step = document[name]
        values = [step[f"{part}_s"] for part in ("memory", "compute", "link", "overhead")]
        shown.add_row(words, *(f"{value:.3g}" for value in (*values, step["seconds"])), step["bound"])
    return shown


def _beside(measured: Document) -> Table:
    shown = titled_table(
        f"Predicted beside measured: off by {measured['median_error']:.0%} in the median of {len(measured['cells'])} cells"
    )
    for name in (
        "run",
        "arm",
        "workload",
        "streams",
        "tokens",
        "predicted tok/s",
        "measured",
        "error",
        "waits for",
    ):
        left = name in ("run", "arm", "workload", "waits for")
        shown.add_column(name, justify="left" if left else "right", overflow="fold")
    for row in measured["cells"]:
        shown.add_row(
            row["run"],
            row["arm"],
            row["workload"],
            str(row["streams"]),
            f"{row['input_tokens']} + {row['output_tokens']}",
            f"{row['predicted_tokens_per_s']:.1f}",
            f"{row['measured_tokens_per_s']:.1f}",
            f"{row['error']:+.0%}",
            row["bound"],
        )
    return shown


def worked_table(examples: Sequence[WorkedExample]) -> Table:
    """Published figures beside ours."""
    shown = titled_table("Figures that people quote, recomputed")
    for name in ("figure", "published", "ours", "off", "unit", "why"):
        shown.add_column(
            name, justify="right" if name in ("published", "ours", "off") else "left", overflow="fold"
        )
    for one in examples:
        published = DASH if one.published is None else f"{one.published:.4g}"
        off = DASH if one.off is None else f"{one.off:+.1%}"
        shown.add_row(one.figure, published, f"{one.ours:.4g}", off, one.unit, one.note)
    return shown


def _count(value: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:g}"

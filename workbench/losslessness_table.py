"""A measured losslessness as a person reads it: the verdict with its reason, then what it rests on."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

Document = dict[str, Any]
_COLOURS = {"lossless": "green", "within numerical noise": "green", "lossy": "red", "cannot tell": "yellow"}
_MOST_SHOWN = 10


def losslessness_table(document: Document) -> Group:
    """Verdict, the two comparisons side by side, and the divergences that nothing excuses."""
    noise = document["noise"]
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("against the baseline", "texts agree", "tokens", "divergences", "excused", "unexcused",
                 "expected", "lossy from", "power", "share, upper 95 %"):  # fmt: skip
        shown.add_column(name, justify="left" if name == "against the baseline" else "right", no_wrap=True)
    shown.add_row("candidate", *_cells(document["candidate"]))
    shown.add_row("itself, asked again", *_cells(document["baseline_again"]))
    verdict = Text.assemble(
        (document["verdict"], f"bold {_COLOURS[document['verdict']]}"), f": {document['reason']}"
    )
    servers = [
        Text(
            f"  {label}: {server['url']}, vLLM {server['version']}, speculation {server['speculation']}",
            style="dim",
        )
        for label, server in document["servers"].items()
    ]
    excuse = Text(
        f"  A divergence is excused at a gap of at most {noise['threshold_nats']:.3g} nats: {noise['quantile']:.1%} of "
        f"the changes of the baseline's own margins at {noise['positions']} positions.",
        style="dim",
    )
    return Group(verdict, shown, excuse, *servers, *_unexcused(document["candidate"]["divergences"]))


def _cells(compared: Document) -> list[str]:
    return [
        f"{compared['agreeing']} of {compared['texts']}",
        str(compared["tokens_compared"]),
        str(len(compared["divergences"])),
        str(compared["excused"]),
        str(compared["unexcused"]),
        f"{compared['expected_unexcused']:.2g}",
        str(compared["least_for_lossy"]),
        f"{compared['power']:.1%}",
        f"{compared['unexcused_share_upper']:.2g}",
    ]


def _unexcused(divergences: list[Document]) -> list[Text]:
    left = [divergence for divergence in divergences if not divergence["excused"]]
    lines = [
        f"  {d['prompt']}, token {d['position'] + 1}: {_token(d['token_id'])} instead of "
        f"{_token(d['baseline_token_id'])}, {_gap(d['gap_nats'])}"
        for d in left[:_MOST_SHOWN]
    ]
    if len(left) > _MOST_SHOWN:
        lines.append(f"  and {len(left) - _MOST_SHOWN} more, all in --json")
    return [Text(line) for line in lines]


def _token(token_id: int | None) -> str:
    return "the end" if token_id is None else str(token_id)


def _gap(gap_nats: float | None) -> str:
    return "not among the likeliest" if gap_nats is None else f"{gap_nats:.3g} nats less likely"

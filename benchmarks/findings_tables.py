"""Fill the tables of docs/findings.md from the result documents: `python benchmarks/findings_tables.py`.

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; NAME is a file of benchmarks/results
without its ending. No figure on the page is typed by hand; a test compares the page with the documents.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "findings.md"
RESULTS = Path(__file__).parent / "results"
_BLOCK = re.compile(r"(<!-- table: ([\w.-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_DASH = "–"

Document = dict[str, Any]


def filled(page: str, results: Path = RESULTS) -> str:
    """The page with every table made anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}{_table(results / f'{block[2]}.json')}{block[3]}", page)


def _table(path: Path) -> str:
    document: Any = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(document, list):
        return _lines(_QUALITY_HEAD, [_quality_row(result) for result in document])
    rows = _rows(document)
    kept = [i for i, name in enumerate(_HEAD) if name in _ALWAYS or _says_something(row[i] for row in rows)]
    return _lines([_HEAD[i] for i in kept], [[row[i] for i in kept] for row in rows])


def _says_something(column: Iterable[str]) -> bool:
    """A column of nothing but dashes and zeros is left out; a zero beside other counts stays."""
    return any(value not in (_DASH, "0") for value in column)


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join([_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]) + "\n"


_HEAD = (
    "workload", "streams", "arm", "tokens/s, each block", "cost ratio, each pair", "$/1k out", "TTFT p50 s",
    "TPOT p50 ms", "TPOT p95 ms", "in SLO", "AL", "by position", "tokens/step", "prefix hits", "preemptions",
    "verdict",
)  # fmt: skip
_ALWAYS = _HEAD[:6]


def _rows(document: Document) -> list[list[str]]:
    keys = {(c["workload"], c["streams"]): None for c in sorted(document["cells"], key=_place)}
    return [_row(document, workload, streams, arm) for workload, streams in keys for arm in document["arms"]]


def _place(cell: Document) -> tuple[str, int]:
    return cell["workload"], cell["streams"]


def _row(document: Document, workload: str, streams: int, arm: str) -> list[str]:
    cells = [c for c in document["cells"] if (*_place(c), c["arm"]) == (workload, streams, arm)]
    about = document["arms"][arm]
    pooled = next((p for p in about["pooled"] if _place(p) == (workload, streams)), None)
    against = next((a for a in about["against_baseline"] if _place(a) == (workload, streams)), None)
    ratios = ", ".join(f"{r:.3f}" for r in against["pair_ratios"]) if against else ""
    costs = [c["usd_per_1k_output_tokens"] for c in cells if c["usd_per_1k_output_tokens"] is not None]
    verdicts = sorted({c["verdict"]["throughput"] for c in cells})
    return [
        workload,
        str(streams),
        arm,
        ", ".join(_number(c["output_tokens_per_s"], ".1f") for c in cells),
        ratios or ("baseline" if arm == document["baseline"] else _DASH),
        f"{fmean(costs):.6f}" if costs else _DASH,
        _latency(pooled, "ttft_s", "p50", 1, ".2f"),
        _latency(pooled, "tpot_s", "p50", 1000, ".0f"),
        _latency(pooled, "tpot_s", "p95", 1000, ".0f"),
        _value(pooled, "slo_attainment", ".0%"),
        _value(pooled, "acceptance_length", ".2f"),
        " ".join(f"{s:.2f}" for s in pooled["acceptance_by_position"][:6]) or _DASH if pooled else _DASH,
        _value(pooled, "tokens_per_step", ".2f") if any(c["acceptance_length"] for c in cells) else _DASH,
        _mean(cells, "prefix_cache_hit_share", ".0%"),
        _total(cells, "preemptions"),
        ", ".join(verdicts),
    ]


_QUALITY_HEAD = (
    "arm", "right", "score, 95 %", "failed", "perplexity of the references, 95 %", "perplexity ratio, paired",
    "score difference, paired",
)  # fmt: skip


def _quality_row(result: Document) -> list[str]:
    score, perplexity, against = result["score"], result["perplexity"], result.get("against")
    return [
        result["label"],
        f"{result['right']} of {result['items']}",
        f"{score['value']:.1%} ({_between(score['interval'], '.1%')})",
        str(result["failures"]),
        f"{_number(perplexity['value'], '.4f')} ({_between(perplexity['interval'], '.4f')})",
        _paired(against["perplexity"], "ratio", ".5f") if against else "baseline",
        _paired(against["score"], "difference", "+.1%") if against else "baseline",
    ]


def _paired(values: Document, name: str, form: str) -> str:
    return f"{_number(values[name], form)} ({_between(values['interval'], form)})"


def _between(interval: Sequence[float] | None, form: str) -> str:
    return _DASH if interval is None else f"{interval[0]:{form}} to {interval[1]:{form}}"


def _number(value: float | None, form: str) -> str:
    return _DASH if value is None else format(value, form)


def _latency(pooled: Document | None, name: str, quantile: str, scale: float, form: str) -> str:
    value = pooled[name][quantile] if pooled else None
    return _DASH if value is None else format(value * scale, form)


def _value(pooled: Document | None, name: str, form: str) -> str:
    return _number(pooled[name]["value"] if pooled else None, form)


def _mean(cells: list[Document], name: str, form: str) -> str:
    values = [c[name] for c in cells if c.get(name)]
    return format(fmean(values), form) if values else _DASH


def _total(cells: list[Document], name: str) -> str:
    counted = [c[name] for c in cells if c.get(name) is not None]
    return str(sum(counted)) if counted else _DASH


def _line(parts: Sequence[str]) -> str:
    return f"| {' | '.join(parts)} |"


def main() -> int:
    """Write the page; with --check only say whether it is current."""
    page = PAGE.read_text(encoding="utf-8")
    made = filled(page)
    if "--check" in sys.argv:
        return int(made != page)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How the benchmark of load clients is printed."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

_OUT = Console(width=170, highlight=False)
Document = dict[str, Any]


def print_table(document: Document) -> None:
    """Medians over the repeats; for TTFT's p99 the highest repeat too."""
    table = Table(title=f"{document['machine']}; medians of the repeats", box=None, title_justify="left")
    headings = (
        "streams", "client", "TTFT p50 ms", "error", "p99 ms", "error", "worst", "TPOT error", "delivered",
        "CPU s/1000", "events/s/core", "peak MiB", "server late p99", "others' cores", "repeats",
    )  # fmt: skip
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "client" else "right")
    for entry in document["summary"]:
        table.add_row(
            str(entry["streams"]),
            entry["client"],
            _of(entry, "ttft_p50_ms", "{:.1f}"),
            _of(entry, "ttft_p50_error_ms", "{:+.2f}"),
            _of(entry, "ttft_p99_ms", "{:.1f}"),
            _of(entry, "ttft_p99_error_ms", "{:+.1f}"),
            _of(entry, "ttft_p99_error_ms", "{:+.1f}", "highest"),
            _of(entry, "tpot_error_share", "{:+.2%}"),
            _of(entry, "delivered_share", "{:.1%}"),
            _of(entry, "client_cpu_s_per_1000_events", "{:.4f}"),
            _of(entry, "events_per_s_per_core", "{:,.0f}"),
            _of(entry, "peak_rss_bytes", "{:,.0f}", scale=2**-20),
            _of(entry, "server_first_lateness_p99_ms", "{:.2f} ms"),
            _of(entry, "other_programs_cores", "{:.2f}"),
            str(entry["repeats"]),
        )
    _OUT.print(table)
    for entry in document["summary"]:
        if "not_measured" in entry:
            _OUT.print(
                f"{entry['client']} at {entry['streams']} streams: not measured (of one repeat or more), because "
                f"{entry['not_measured']}",
                markup=False,
            )


def _of(entry: Document, name: str, form: str, which: str = "median", scale: float = 1.0) -> str:
    return form.format(entry[name][which] * scale) if name in entry else "–"


def print_soak(document: Document) -> None:
    """Memory over a long load."""
    mib = {
        name: document[name] / 2**20
        for name in (
            "peak_while_loading_bytes",
            "growth_second_to_last_third_bytes",
            "peak_with_evaluation_bytes",
            "largest_process_bytes",
        )
    }
    _OUT.print(
        f"{document['machine']}: {document['streams']} streams for {document['duration_s']:g} s, "
        f"{document['delivered_tokens_per_s']:,.0f} tokens/s ({document['delivered_share']:.1%} of the offered)\n"
        f"resident while loading: peak {mib['peak_while_loading_bytes']:.0f} MiB, "
        f"{mib['growth_second_to_last_third_bytes']:+.1f} MiB from the second third to the last\n"
        f"with the evaluation afterwards: {mib['peak_with_evaluation_bytes']:.0f} MiB, "
        f"largest process {mib['largest_process_bytes']:.0f} MiB\n"
        f"TTFT error {document['ttft_p50_error_ms']:+.2f} ms p50, {document['ttft_p99_error_ms']:+.2f} ms p99",
        markup=False,
    )

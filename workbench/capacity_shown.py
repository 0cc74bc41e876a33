"""The searches for capacity as the report shows them: every probe, priced, and what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accounting.cost import slo_cost, usd_per_1k_tokens
from accounting.missing import Measured
from accounting.prices import Price
from dashboards import report_data as shown
from workbench.capacity_confirmed import confirmed_words, nearest_words

Row = dict[str, Any]


def report_searches(capacities: Sequence[Row], price: Price) -> list[shown.Search]:
    """One search per arm and workload, from comparison.json."""
    return [
        shown.Search(
            arm=row["arm"],
            workload=row["workload"],
            kind=row["by"],
            probes=[_probe(probe, price) for probe in row["probes"]],
            chosen=row["chosen"],
            sentence=f"{row['sentence']}.",
            floor=row["floor"],
            nearest_slo=nearest_words(row),
            confirmed=confirmed_words(row),
        )
        for row in capacities
    ]


def _probe(probe: Row, price: Price) -> shown.Probe:
    interval = probe["attainment_interval"]
    return shown.Probe(
        at=probe["at"],
        requests=probe["requests"],
        attainment=probe["attainment"],
        attainment_interval=None if interval is None else (interval[0], interval[1]),
        output_tokens_per_s=probe["output_tokens_per_s"],
        usd_per_1k_slo_output_tokens=_within_slo(probe, price).value,
        verdict_throughput=probe["verdict"]["throughput"],
        verdict_tails=probe["verdict"]["tails"],
        decision=probe["decision"],
        reason=probe["reason"],
    )


def _within_slo(probe: Row, price: Price) -> Measured:
    """What the probe's tokens would have cost; shown beside it, never compared."""
    per_s, share = probe["output_tokens_per_s"], probe["slo_token_share"]
    if per_s is None or share is None:
        return Measured(None, "not measured")
    return slo_cost(usd_per_1k_tokens(price, 1.0, per_s), Measured(share))

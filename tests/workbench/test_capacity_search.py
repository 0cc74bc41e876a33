from typing import Any

import pytest

from accounting.capacity import Decision
from workbench.capacity_confirmed import capacity_sentence, confirmation, confirmations, mark_floor_missed
from workbench.capacity_search import judge_probe, probe_cell
from workbench.experiment import Experiment
from workbench.loads import CAPACITY, Level
from workbench.plan import make_plan


def measured(verdict: str = "valid", share: float | None = 1.0, requests: int = 40) -> dict[str, Any]:
    return {
        "requests": requests,
        "failed": 0,
        "slo_attainment": {"value": share, "reason": None if share is not None else "none"},
        "slo_token_share": {"value": share, "reason": None},
        "output_tokens_per_s": 100.0,
        "ttft_s": {"p50": 0.1},
        "tpot_s": {"p50": 0.02},
        "verdict": {"throughput": verdict, "tails": "too_short"},
        "reason": None,
    }


@pytest.mark.parametrize(
    ("verdict", "kept", "decision"),
    [
        ("valid", 0.95, Decision.MEETS),
        ("valid", 0.94, Decision.MISSES),
        ("too_short", 0.94, Decision.MISSES),
        ("noisy_host", 0.96, Decision.MEETS),  # nothing of the host's doing makes the floor easier
        ("noisy_host", 0.94, Decision.UNJUDGED),
        ("client_bound", 0.94, Decision.UNJUDGED),
        ("cache_contaminated", 1.0, Decision.UNJUDGED),
        ("saturated", 1.0, Decision.MISSES),
        ("failed", 0.5, Decision.MISSES),
        ("valid", None, Decision.UNJUDGED),
    ],
)
def test_what_a_probe_says(verdict: str, kept: float | None, decision: Decision) -> None:
    row = judge_probe(measured(verdict, kept), 4.0, kept, 0.95)
    assert row["decision"] == decision
    assert (row["attainment_interval"] is None) == (kept is None)


def experiment(**arm: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "x",
            "server": {"model": "fake-model", "engine": {"device": "fake"}},
            "arms": {"plain": {}, "other": arm},
            "workloads": ["chat"],
            "loads": {"capacity": {"most_probes": 5}},
            "price": {"usd_per_hour": 3.6, "source": "s", "as_of": "2026-11-22"},
        }
    )


def test_probes_share_no_prompt_where_an_arm_remembers_answers() -> None:
    for arm, slices in (({}, 1), ({"speculation": {"method": "suffix", "num_speculative_tokens": 4}}, 5)):
        asked = experiment(**arm)
        cell = make_plan(asked).searches[0].cells[0]
        probes = [probe_cell(asked, cell, Level("streams", 2.0 + n), n) for n in range(5)]
        assert {probe.slice_count for probe in probes} == {slices}
        assert len({probe.slice_index for probe in probes}) == slices
        assert len({probe.cell_id for probe in probes}) == 5
        assert probes[2].streams == 4


def blocks(*shares: float | None, requests: int = 100, verdict: str = "valid") -> list[dict[str, Any]]:
    """Blocks of one arm, in which these shares of their requests met the SLO."""
    return [
        {
            "arm": "plain", "workload": "chat", "load": CAPACITY, "repeat": repeat,
            "requests": 0 if share is None else requests,
            "slo_attainment": {"value": share, "reason": None if share is not None else "none"},
            "verdict": {"throughput": verdict},
        }
        for repeat, share in enumerate(shares, start=1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shares", "word"),
    [
        ((0.94, 0.96, 0.95, 0.95), "confirmed"),
        ((0.93,), "not refuted"),
        ((0.90, 0.91, 0.89, 0.90), "refuted"),
        (
            (0.80, 1.00, 0.82, 0.98),
            "not refuted",
        ),  # blocks differ too much to refute it, whatever single requests say
        ((None,), "not measured"),
    ],
)
def test_blocks_confirm_a_load_or_do_not(shares: tuple[float | None, ...], word: str) -> None:
    assert confirmation(blocks(*shares), 0.95)["word"] == word


def test_blocks_that_went_wrong_are_not_left_out_of_the_confirmation() -> None:
    """Three blocks saturated: the other three alone would confirm anything."""
    good = blocks(0.97, 0.97, 0.97)
    found = confirmation([*good, *blocks(0.4, 0.4, 0.4, verdict="saturated")], 0.95)
    assert found["attainment"] == pytest.approx(0.685)
    assert found["word"] != "confirmed"
    noisy = confirmation([*good, *blocks(0.4, 0.4, verdict="noisy_host")], 0.95)
    assert (noisy["word"], noisy["blocks"], noisy["blocks_left_out"]) == ("confirmed", 3, 2)


def test_a_refuted_load_keeps_its_arm_out_of_every_comparison() -> None:
    cells = [
        *blocks(0.80, 0.81, 0.79, 0.80),
        {"arm": "plain", "workload": "copy", "load": CAPACITY, "repeat": 9},
        {"arm": "plain", "workload": "chat", "load": "4 streams", "repeat": 1},
    ]
    confirmed = confirmations(cells, 0.95, range(1, 5))
    mark_floor_missed(cells, confirmed, 0.95)
    assert "80.0% of 400 requests" in str(cells[0]["floor_missed"])
    assert cells[-2]["floor_missed"] is None
    assert "floor_missed" not in cells[-1]


def test_a_capacity_in_words() -> None:
    row: dict[str, Any] = {
        "arm": "plain", "workload": "chat", "sentence": "6 streams met the floor, 7 missed it", "chosen": 6,
        "floor": 0.95, "nearest_slo": None, "nearest_slo_reason": None,
        "confirmed": confirmation(blocks(0.96, 0.97, 0.98), 0.95),
    }  # fmt: skip
    assert capacity_sentence(row).endswith(
        "97.0% of 300 requests met the SLO (94.5% to 99.5%, floor 95%), confirmed."
    )
    assert "no finished one" in capacity_sentence({**row, "confirmed": None})
    infeasible = {**row, "chosen": None, "nearest_slo": "tpot_s 0.03 -> 0.05"}
    assert capacity_sentence(infeasible).endswith("Nearest feasible SLO at this load: tpot_s 0.03 -> 0.05.")

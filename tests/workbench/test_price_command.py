"""`kilotoken price` on run directories whose numbers are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.experiment import parse_experiment
from workbench.plan import make_plan
from workbench.run_directory import RunDirectory, write_json

TEXT = """
name: priced
server: {{model: fake-model, engine: {{device: fake}}}}
arms:
  plain: {{}}
  slow: {{batching: {{max_num_seqs: 7}}}}
workloads: [chat]
loads: {{streams: [2, 4, 8, 16]}}
repeats: 2
price: {{usd_per_hour: {usd}, source: declared for a test, as_of: 2026-11-22}}
"""
#: Seconds of a step, and of each prefilled and generated token in it.
STEP_S, PREFILL_S, OUTPUT_S = 0.004, 0.0002, 0.001
Make = Callable[..., Path]


def prompt_tokens(streams: int, repeat: int) -> float:
    """Odd enough that windows differ: long prompts at few streams in one repeat, short ones at many in the other."""
    return 700.0 * streams if repeat == 1 else 90_000.0 / streams


def cached_tokens(streams: int, repeat: int) -> float:
    return 60.0 * streams if repeat == 1 else 1000.0


def cell(arm: str, repeat: int, streams: int, verdict: str, watts: float | None) -> dict[str, Any]:
    """A window of a server whose steps take as long as their tokens say; the other arm is half as fast."""
    output, prompts, slower = 1000.0 * streams, prompt_tokens(streams, repeat), 2.0 if arm == "slow" else 1.0
    steps = output / streams
    window_s = (
        steps * STEP_S + (prompts - cached_tokens(streams, repeat)) * PREFILL_S + output * OUTPUT_S
    ) * slower
    return {
        "arm": arm, "workload": "chat", "streams": streams, "load": f"{streams} streams", "repeat": repeat,
        "block": f"r{repeat}-{arm}", "window_s": window_s, "output_tokens": output, "requests": 50,
        "output_tokens_per_s": output / window_s, "prompt_tokens": prompts, "cached_prompt_tokens": cached_tokens(streams, repeat),
        "engine_steps": steps, "slo_token_share": {"value": 0.8, "reason": None}, "busy_share": 1.0,
        "energy": {"watts": watts, "covers": ["GPU boards"]}, "verdict": {"throughput": verdict},
    }  # fmt: skip


@pytest.fixture
def make_run(tmp_path: Path) -> Make:
    def make(
        name: str = "run", *, usd: float = 3.6, verdict: str = "valid", watts: float | None = None
    ) -> Path:
        text = TEXT.format(usd=usd)
        plan = make_plan(parse_experiment(text, origin="test"))
        run = RunDirectory.create(tmp_path / name, text, plan, {})
        for block in plan.blocks:
            run.next_attempt(block).write_status("finished", startup_s=60.0)
        cells = [
            cell(arm, repeat, streams, verdict, watts)
            for repeat in (1, 2)
            for arm in ("plain", "slow")
            for streams in (2, 4, 8, 16)
        ]
        write_json(run.path / "measures.json", {"cells": cells, "pooled": []})
        return run.path

    return make


def priced(path: Path, *rest: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["price", str(path), "--json", *rest])
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def refused(path: Path, *rest: str) -> str:
    done = CliRunner().invoke(app, ["price", str(path), *rest], catch_exceptions=True)
    assert done.exit_code != 0, done.output
    return str(done.exception)


def place(document: dict[str, Any], arm: str = "plain", streams: int = 8) -> dict[str, Any]:
    (found,) = [p for p in document["places"] if (p["arm"], p["load"]) == (arm, f"{streams} streams")]
    return dict(found)


def test_at_the_runs_own_price_nothing_changes(make_run: Make) -> None:
    row = place(priced(make_run()))
    assert row["usd_per_1k_output_tokens"] == pytest.approx(row["usd_per_1k_as_measured"])
    assert row["usd_per_1k_output_tokens"] == pytest.approx(1.0 / row["output_tokens_per_s"])
    assert row["usd_per_1k_slo_output_tokens"] == pytest.approx(row["usd_per_1k_output_tokens"] / 0.8)
    assert row["usd_per_1m_output_tokens"] == pytest.approx(1000 * row["usd_per_1k_output_tokens"])
    assert row["usd_per_request"] == pytest.approx(row["usd_per_1k_output_tokens"] * 8000 / 50 / 1000)


def test_another_rent_a_duty_cycle_and_starts_multiply(make_run: Make) -> None:
    run = make_run()
    once = place(priced(run))["usd_per_1k_output_tokens"]
    assert place(priced(run, "--usd-per-hour", "7.2"))["usd_per_1k_output_tokens"] == pytest.approx(2 * once)
    halved = priced(run, "--duty-cycle", "0.5")
    assert place(halved)["usd_per_1k_output_tokens"] == pytest.approx(2 * once)
    assert place(halved)["usd_per_1k_output_tokens_usage_basis"] == pytest.approx(once)
    starts = priced(run, "--starts-per-day", "144")  # 60 s each: a tenth of the day
    assert starts["terms"]["start_up_share"] == pytest.approx(0.1)
    assert place(starts)["usd_per_1k_output_tokens"] == pytest.approx(once / 0.9)


def test_the_same_run_bought_instead_of_rented(make_run: Make) -> None:
    bill = (
        "--buy-usd",
        "87660",
        "--years",
        "10",
        "--usd-per-kwh",
        "0.10",
        "--pue",
        "1.2",
        "--idle-watts",
        "1000",
    )
    document = priced(make_run(), *bill, "--busy-watts", "3000", "--duty-cycle", "0.5")
    assert document["terms"]["usd_per_busy_hour"] == pytest.approx(2.48)
    row = place(document)
    assert row["usd_per_1k_output_tokens"] == pytest.approx(2.48 / 3.6 / row["output_tokens_per_s"])
    names = [one["input"] for one in document["sensitivity"]["inputs"]]
    assert set(names) == {
        "output_tokens_per_s", "duty_cycle", "purchase_usd", "years", "usd_per_kwh", "pue", "busy_watts", "idle_watts",
    }  # fmt: skip
    measured = priced(make_run("metered", watts=3000.0), *bill, "--duty-cycle", "0.5")
    assert measured["terms"]["usd_per_busy_hour"] == pytest.approx(2.48), "the run's own watts"
    assert document["terms"]["electricity"] == "3,000 W when busy, as given"
    assert measured["terms"]["electricity"] == (
        "3,000 W when busy, as the run measured: GPU boards alone, nothing else in the box"
    )


def test_shares_of_input_and_output_are_found_and_sum_to_one(make_run: Make) -> None:
    shares = place(priced(make_run()))["shares"]
    assert shares["input"] + shares["cached_input"] + shares["output"] == pytest.approx(1.0)
    prefilled = prompt_tokens(8, 1) + prompt_tokens(8, 2) - 480 - 1000
    expected = prefilled * PREFILL_S / (prefilled * PREFILL_S + 16_000 * OUTPUT_S)
    assert shares["input"] == pytest.approx(expected, rel=0.05)


def test_break_even_with_an_api_and_with_a_bigger_box(make_run: Make) -> None:
    run, bigger = make_run(), make_run("bigger", usd=36.0)
    document = priced(run, "--api-usd-per-1m-output", "10")
    (found,) = [b for b in document["break_even"] if (b["arm"], b["load"]) == ("plain", "8 streams")]
    rate = place(document)["output_tokens_per_s"]
    assert found["duty_cycle"] == pytest.approx(1.0 / rate / 0.01)
    assert "is cheaper than the API from a duty cycle of" in found["sentence"]
    against = priced(run, "--against", str(bigger), "--route-share", "0.75")
    (found,) = [b for b in against["break_even"] if (b["arm"], b["load"]) == ("plain", "16 streams")]
    assert found["duty_cycle"] == pytest.approx(0.1), "a tenth of the rent at the bigger box's best speed"
    (routed,) = [r for r in against["routing"] if (r["arm"], r["load"]) == ("plain", "16 streams")]
    small = routed["small_usd_per_1k"]
    assert routed["routed_usd_per_1k"] == pytest.approx(0.75 * small + 0.25 * 10 * small)
    assert routed["least_share_for_a_cascade"] == pytest.approx(0.1)


def test_the_table_says_the_terms_the_costs_and_what_moves_them(make_run: Make) -> None:
    done = CliRunner().invoke(
        app, ["price", str(make_run()), "--usd-per-hour", "7.2", "--api-usd-per-1m-output", "1e6"]
    )
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "$ per hour: rent 7.2; duty cycle 100%" in said
    assert "is cheaper than the API from a duty cycle of" in said
    assert "output tokens/s" in said
    assert max(map(len, done.stdout.splitlines())) <= 150


def test_what_cannot_be_priced_is_refused(make_run: Make) -> None:
    run = make_run()
    assert "positive number" in refused(run, "--usd-per-hour", "0")
    assert "positive number" in refused(run, "--usd-per-hour=-1")
    assert "a duty cycle is a share" in refused(run, "--duty-cycle", "1.5")
    assert "two prices" in refused(run, "--usd-per-hour", "1", "--price", "aws-p5-h100")
    assert "rented or bought" in refused(run, "--usd-per-hour", "1", "--buy-usd", "100")
    assert "rent already contains electricity" in refused(run, "--usd-per-kwh", "0.1")
    assert "did not measure what it drew" in refused(run, "--buy-usd", "100", "--usd-per-kwh", "0.1")
    assert "needs --usd-per-kwh" in refused(run, "--buy-usd", "100")
    assert "needs the larger server's run" in refused(run, "--route-share", "0.5")
    assert "between 0 and 1" in refused(run, "--route-share", "2", "--against", str(make_run("other")))
    assert "no cell whose throughput is valid" in refused(make_run("noisy", verdict="noisy_host"))
    (run / "measures.json").write_text("{")
    assert "measures.json" in refused(run)

"""`kilotoken price` on run directories whose numbers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.priced_runs import (
    OUTPUT_S,
    PREFILL_S,
    Cell,
    Make,
    asked,
    maker,
    place,
    priced,
    prompt_tokens,
    shown,
)

API = ("--api-usd-per-1m-output", "10", "--api-usd-per-1m-input", "0")
BOX = ("--buy-usd", "87660", "--years", "10", "--usd-per-kwh", "0.10")


@pytest.fixture
def make_run(tmp_path: Path) -> Make:
    return maker(tmp_path)


def found(rows: list[dict[str, Any]], load: str) -> dict[str, Any]:
    (row,) = [row for row in rows if (row["arm"], row["load"]) == ("plain", load)]
    return row


def test_at_the_runs_own_price_nothing_changes(make_run: Make) -> None:
    row = place(priced(make_run()))
    assert row["usd_per_1k_output_tokens"] == pytest.approx(row["usd_per_1k_as_measured"])
    assert row["usd_per_1k_output_tokens"] == pytest.approx(1.0 / row["output_tokens_per_s"])
    assert row["usd_per_1k_slo_output_tokens"] == pytest.approx(row["usd_per_1k_output_tokens"] / 0.8)
    assert row["usd_per_1m_output_tokens"] == pytest.approx(1000 * row["usd_per_1k_output_tokens"])
    assert row["usd_per_request"] == pytest.approx(row["usd_per_1k_output_tokens"] * 8000 / 50 / 1000)


def test_another_rent_and_a_duty_cycle_multiply(make_run: Make) -> None:
    run = make_run()
    once = place(priced(run))["usd_per_1k_output_tokens"]
    assert place(priced(run, "--usd-per-hour", "7.2"))["usd_per_1k_output_tokens"] == pytest.approx(2 * once)
    halved = priced(run, "--duty-cycle", "0.5")
    assert place(halved)["usd_per_1k_output_tokens"] == pytest.approx(2 * once)
    assert place(halved)["usd_per_1k_output_tokens_usage_basis"] == pytest.approx(once)


def test_starts_cost_the_same_in_the_table_the_sentence_and_what_moves_it(make_run: Make) -> None:
    """144 starts of 60 s are a tenth of the day: of a duty cycle of a half a fifth, of a whole one a tenth."""
    run = make_run()
    once = place(priced(run))["usd_per_1k_output_tokens"]
    starts = priced(run, "--starts-per-day", "144")
    assert starts["terms"]["start_up_share"] == pytest.approx(0.1)
    assert place(starts)["usd_per_1k_output_tokens"] == pytest.approx(once / 0.9)
    assert place(starts)["usd_per_1k_output_tokens_usage_basis"] == pytest.approx(once), "no request ran"
    halved = priced(run, "--starts-per-day", "144", "--duty-cycle", "0.5", *API)
    assert halved["terms"]["usd_per_hour_of_work"] == pytest.approx(3.6 / 0.4)
    cost = place(halved)["usd_per_1k_output_tokens"]
    assert cost == pytest.approx(once / 0.4)
    duty = found(halved["break_even"], "8 streams")["duty_cycle"]
    assert once / (duty - 0.1) == pytest.approx(0.01), "the API's price, starts paid for"
    assert "starts included (always busy" in found(halved["break_even"], "8 streams")["sentence"]
    moved = {one["input"]: one for one in halved["sensitivity"]["inputs"]}
    assert moved["start_up_share"]["higher"] == pytest.approx(0.4 / 0.38)
    assert moved["duty_cycle"]["higher"] == pytest.approx(0.4 / 0.5)
    given = priced(run, "--starts-per-day", "144", "--start-up-s", "120")
    assert given["terms"]["start_up_share"] == pytest.approx(0.2)
    assert "of which 144 starts a day of 60 s take 2.4 h" in shown(run, "--starts-per-day", "144")


def test_the_same_run_bought_instead_of_rented(make_run: Make) -> None:
    bill = (*BOX, "--pue", "1.2", "--idle-watts", "1000", "--duty-cycle", "0.5")
    document = priced(make_run(), *bill, "--busy-watts", "3000")
    assert document["terms"]["usd_per_hour_of_work"] == pytest.approx(2.48)
    row = place(document)
    assert row["usd_per_1k_output_tokens"] == pytest.approx(2.48 / 3.6 / row["output_tokens_per_s"])
    names = [one["input"] for one in document["sensitivity"]["inputs"]]
    assert set(names) == {
        "output_tokens_per_s", "duty_cycle", "purchase_usd", "years", "usd_per_kwh", "pue", "busy_watts", "idle_watts",
    }  # fmt: skip
    measured = priced(make_run("metered", watts=3000.0), *bill)
    assert measured["terms"]["usd_per_hour_of_work"] == pytest.approx(2.48), "the run's own watts"
    assert document["terms"]["electricity"] == "3,000 W when busy, as given; 1,000 W when idle, as given"
    assert measured["terms"]["electricity"] == (
        "3,000 W when busy, as the run measured (GPU boards alone, nothing else in the box); 1,000 W when idle, as given"
    )


def test_what_electricity_leaves_out_is_said(make_run: Make) -> None:
    run = make_run(watts=3000.0)
    said = priced(run, *BOX, "--duty-cycle", "0.3")
    assert (
        "idle watts are not given, so that hours without work take none here" in said["terms"]["electricity"]
    )
    assert "no PUE, so that the building takes nothing here" in said["terms"]["electricity"]
    assert set(said["terms"]["usd_per_hour_by_part"]) == {"purchase", "electricity, more when busy"}
    assert not {"idle_watts", "pue"} & {one["input"] for one in said["sensitivity"]["inputs"]}
    assert "electricity: contained in the rent" in shown(run)


def test_electricity_comes_on_top_of_rent_where_a_tariff_is_given(make_run: Make) -> None:
    document = priced(make_run(watts=1000.0), "--usd-per-hour", "7.2", "--usd-per-kwh", "0.1", "--pue", "1.5")
    assert document["terms"]["usd_per_hour_of_work"] == pytest.approx(7.2 + 0.15)
    assert document["terms"]["electricity"].startswith(
        "on top of the rent, because a tariff is given; 1,000 W"
    )


def test_each_place_pays_for_its_own_valid_watts(make_run: Make) -> None:
    """100 W a stream; one invalid cell would tell another story, one valid cell has no watts, 16 streams none at all."""

    def change(one: Cell) -> None:
        one["energy"]["watts"] = 100.0 * one["streams"] if one["streams"] < 16 else None
        if (one["streams"], one["repeat"]) == (2, 1):
            one["energy"]["watts"] = None
        if (one["streams"], one["repeat"]) == (4, 1):
            one["energy"]["watts"], one["verdict"] = 9e9, {"throughput": "noisy_host"}

    document = priced(make_run(change=change), *BOX, "--idle-watts", "0", "--pue", "1")
    for streams in (2, 4, 8):
        row = place(document, streams=streams)
        assert row["busy_watts"] == pytest.approx(100.0 * streams)
        assert row["usd_per_hour_of_work"] == pytest.approx(1.0 + 0.01 * streams)
    assert (
        "200 to 800 W when busy, as the run measured, each arm and load its own"
        in document["terms"]["electricity"]
    )
    assert document["terms"]["of"] == "plain on chat at 8 streams"
    assert document["notes"] == [
        f"{arm} on chat at 16 streams is not priced: none of its windows measured what the box drew (--busy-watts)."
        for arm in ("plain", "slow")
    ]


def test_only_repeats_that_count_are_priced(make_run: Make) -> None:
    """What a pilot measured, and repeats past the number that was fixed, are not compared either."""
    piloted = make_run("piloted", count="pairs: {pilot: 2, most: 4}")
    (piloted / "pairs.json").write_text('{"pairs": 1}')
    measures = (piloted / "measures.json").read_text()
    (piloted / "measures.json").write_text(measures.replace('"repeat": 2', '"repeat": 3'))
    assert place(priced(piloted))["cells"] == 1
    short = make_run("short")
    (short / "pairs.json").write_text('{"pairs": 1}')
    assert place(priced(short))["cells"] == 1


def test_shares_of_input_and_output_are_found_and_sum_to_one(make_run: Make) -> None:
    shares = place(priced(make_run()))["shares"]
    assert shares["input"] + shares["cached_input"] + shares["output"] == pytest.approx(1.0)
    prefilled = prompt_tokens(8, 1) + prompt_tokens(8, 2) - 480 - 1000
    expected = prefilled * PREFILL_S / (prefilled * PREFILL_S + 16_000 * OUTPUT_S)
    assert shares["input"] == pytest.approx(expected, rel=0.05)


def test_break_even_with_an_api_and_with_a_bigger_box(make_run: Make) -> None:
    run, bigger = make_run(), make_run("bigger", usd=36.0)
    document = priced(run, *API)
    row = found(document["break_even"], "8 streams")
    assert row["duty_cycle"] == pytest.approx(1.0 / place(document)["output_tokens_per_s"] / 0.01)
    assert "is cheaper than the API from a duty cycle of" in row["sentence"]
    against = priced(run, "--against", str(bigger), "--route-share", "0.75")
    row = found(against["break_even"], "16 streams")
    assert row["duty_cycle"] == pytest.approx(0.1), "a tenth of the rent at the bigger box's best speed"
    routed = found(against["routing"], "16 streams")
    small = routed["small_usd_per_1k"]
    assert routed["routed_usd_per_1k"] == pytest.approx(0.75 * small + 0.25 * 10 * small)
    assert routed["least_share_for_a_cascade"] == pytest.approx(0.1)


def test_two_servers_are_held_on_the_same_terms(make_run: Make) -> None:
    """Each starts as often as the other, and takes its own time for it."""
    run, bigger = make_run(), make_run("bigger", usd=36.0, startup_s=120.0)
    terms = (
        "--against",
        str(bigger),
        "--route-share",
        "0.75",
        "--duty-cycle",
        "0.5",
        "--starts-per-day",
        "144",
    )
    routed = found(priced(run, *terms)["routing"], "16 streams")
    once = place(priced(run), streams=16)["usd_per_1k_output_tokens"]
    assert routed["small_usd_per_1k"] == pytest.approx(once / 0.4)
    assert routed["large_usd_per_1k"] == pytest.approx(10 * once / 0.3)
    assert "Both are held all day, busy 50% of it, 144 starts a day." in shown(run, *terms)


def test_input_is_billed_also_where_steps_are_not_counted(make_run: Make) -> None:
    run = make_run(change=lambda one: one.update(engine_steps=None))
    document = priced(
        run, "--api-usd-per-1m-output", "10", "--api-usd-per-1m-input", "1", "--api-usd-per-1m-cached", "0"
    )
    fresh = (prompt_tokens(8, 1) + prompt_tokens(8, 2) - 480 - 1000) / 16_000
    row = found(document["break_even"], "8 streams")
    assert row["elsewhere_usd_per_1k"] == pytest.approx((10 + fresh) / 1000)


def test_a_workload_that_the_other_run_did_not_measure_is_said(make_run: Make) -> None:
    def change(one: Cell) -> None:
        if one["streams"] == 2:
            one["workload"] = "copy"

    document = priced(make_run(change=change), "--against", str(bigger := make_run("bigger")))
    assert document["notes"] == [f"{bigger} has no valid cell of copy: nothing is compared on it."]


def test_the_table_says_the_terms_the_costs_and_what_moves_them(make_run: Make) -> None:
    run = make_run()
    said = shown(run, "--usd-per-hour", "7.2", *API)
    assert "$ per hour: rent 7.2; duty cycle 100%: 7.2 $ for each hour of work" in said
    assert "is cheaper than the API from a duty cycle of" in said
    assert "output tokens/s" in said
    assert "rent: 7.2 $ per hour, given on the command line, as of 20" in said
    assert (
        "API: 10 $ per 1M output tokens, 0 $ per 1M input, cached input as input, given on the command line"
        in said
    )
    lines = asked(run, "--usd-per-hour", "7.2", *API).stdout.splitlines()
    assert max(map(len, lines)) <= 150


def test_a_runs_own_old_price_warns_where_it_is_used(make_run: Make) -> None:
    run, old = make_run(), make_run("old", as_of="2024-01-01")
    (warning,) = priced(old)["warnings"]
    assert warning.startswith(f"The price of {old} is of 2024-01-01, ")
    assert warning.endswith("prices change within months: look it up again (declared for a test).")
    assert "Warning: The price of" in asked(old).stderr
    assert priced(old, "--usd-per-hour", "1")["warnings"] == []
    assert priced(run, "--against", str(old))["warnings"] == [warning]
    assert priced(run)["warnings"] == []

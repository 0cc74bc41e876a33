"""Tariffs, PUE and API prices by name and as amounts, with their source and date."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.workbench.priced_runs import maker, priced, shown
from workbench.given_rates import given_pue, given_tariff, named_api

TODAY = date(2026, 11, 26)
API = """
[[api]]
id = "some-api"
model = "some-model"
usd_per_1m_input = 0.5
usd_per_1m_output = 10
usd_per_1m_cached = 0.1
basis = "list-price"
source = "its page"
as_of = 2026-10-31
"""


@pytest.fixture(autouse=True)
def own_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(API)
    monkeypatch.setenv("KILOTOKEN_PRICES", str(path))


def test_an_amount_is_of_today() -> None:
    for found, warnings in (given_tariff("0.12", TODAY), given_pue("1.2", TODAY)):
        assert (found.source, found.as_of, warnings) == ("given on the command line", TODAY, ())


def test_a_name_brings_its_source_its_date_and_its_age() -> None:
    tariff, (old,) = given_tariff("us-commercial", TODAY)
    assert (tariff.amount, tariff.as_of) == (0.1437, date(2026, 2, 1))
    assert tariff.source.startswith("us-commercial: EIA, Electric Power Monthly")
    assert "us-commercial is of 2026-02-01, 298 days ago" in old
    pue, _ = given_pue("PUE AWS", TODAY)
    assert (pue.amount, pue.as_of) == (1.15, date(2024, 12, 1))
    api, warnings = named_api("some-api", TODAY)
    assert (api.usd_per_1m_output, api.usd_per_1m_input, api.usd_per_1m_cached) == (10, 0.5, 0.1)
    assert api.source == "some-api: its page (not stated, list-price)"
    assert warnings == ()


def test_named_rates_stand_below_the_table(tmp_path: Path) -> None:
    run = maker(tmp_path)()
    options = (
        "--usd-per-kwh",
        "us-commercial",
        "--pue",
        "pue-aws",
        "--busy-watts",
        "1000",
        "--api",
        "some-api",
    )
    document = priced(run, *options)
    assert document["terms"]["usd_per_hour_of_work"] == pytest.approx(3.6 + 0.1437 * 1.15)
    assert [(one["what"], one["as_of"]) for one in document["terms"]["sources"]] == [
        ("rent", "2026-11-22"), ("tariff", "2026-02-01"), ("PUE", "2024-12-01"), ("API", "2026-10-31"),
    ]  # fmt: skip
    assert [warning.split(" is of ")[0] for warning in document["warnings"]][:2] == [
        "us-commercial",
        "pue-aws",
    ]
    said = shown(run, *options)
    assert "tariff: 0.1437 $ per kWh, us-commercial: EIA, Electric Power Monthly" in said
    assert (
        "API: 10 $ per 1M output tokens, 0.5 $ per 1M input, cached input 0.1 $, some-api: its page" in said
    )

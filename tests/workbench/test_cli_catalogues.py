import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from accounting.errors import ConfigError
from workbench.catalogue_document import prices_document
from workbench.catalogue_tables import amount, number, prices_table
from workbench.cli import app
from workbench.price_catalogue import load_prices

PRICE = """
[[price]]
id = "ours"
device = "H100-SXM"
usd_per_hour = 2.5
commitment = "1-year"
basis = "invoice"
source = "invoice [of] October"
as_of = 2026-10-31

[[api]]
id = "some-api"
model = "some-model"
usd_per_1m_input = 0
usd_per_1m_output = 0.4
basis = "list-price"
source = "its page"
as_of = 2026-10-31
"""
DEVICE = """
[[device]]
name = "Our-Card"
memory_gib = 48
bandwidth_gb_per_s = 864
tflops = { bfloat16 = 181.05 }
source = "sheet"
as_of = 2026-10-31
"""


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's files lie; none yet."""
    for name in ("KILOTOKEN_PRICES", "KILOTOKEN_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "kilotoken").mkdir()
    return tmp_path / "kilotoken"


def printed(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.stdout


def document(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed(*words, "--json"))
    return found


def test_prices_are_listed_whole() -> None:
    found = document("prices")
    by_id = {row["id"]: row for row in found["price"]}
    row = by_id["lambda-a100-80"]
    assert (row["usd_per_hour"], row["unit"], row["region"]) == (2.79, "USD/device-hour", "not stated")
    assert (row["commitment"], row["as_of"], row["file"]) == ("on-demand", "2026-09-25", "kilotoken")
    old = by_id["inferencex-h100-rental-3y"]
    assert old["age_days"] > 180
    assert old["warning"].startswith("inferencex-h100-rental-3y is of 2026-04-03, ")
    assert {row["id"] for row in found["electricity"]} == {"us-commercial", "us-industrial"}
    assert found["api"] == []


def test_the_table_says_amount_date_and_what_is_old() -> None:
    shown = printed("prices")
    for words in (
        "USD/device-hour",
        "aws-p5-h100",
        "6.88",
        "10.9791",
        "us-east-1",
        "2026-11-09",
        "0.1437",
        "PUE",
    ):
        assert words in shown
    assert "older than 180 days: look them up again" in shown
    assert "…" in shown, "sources are cut in the whole list"
    assert "as read by data-receipts 109-gpu-pricing" not in shown
    assert "APIs" not in shown, "a section without rows is not shown"


def test_a_chosen_row_says_its_whole_source_and_its_age() -> None:
    shown = " ".join(printed("prices", "inferencex-h100-rental-3y").split())
    for words in (
        "SemiAnalysis",
        "published",
        "three-year",
        "rental",
        "2026-04-03",
        "1 rows are older than 180 days",
    ):
        assert words in shown
    assert "…" not in shown


def test_a_narrow_terminal_keeps_amounts_and_dates(config: Path) -> None:
    (config / "prices.toml").write_text(PRICE)
    prices = load_prices(config / "prices.toml", today=date(2026, 11, 26))
    document = prices_document(prices, None, today=date(2026, 11, 26), path=config / "prices.toml")
    console = Console(file=io.StringIO(), width=100)
    console.print(prices_table(document, width=100))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    (line,) = (line for line in shown.splitlines() if line.startswith(" ours"))
    assert line.split() == ["ours", "H100-SXM", "2.50", "1-year", "2026-10-31", "26"]


@pytest.mark.parametrize(
    ("word", "there", "not_there"),
    [
        ("runpod", "runpod-b200", "nebius-h100"),
        ("H100 SXM", "nebius-h100", "nebius-h200"),
        ("nvidia h100 80gb", "nebius-h100", "nebius-h200"),
        ("us-east-1", "aws-p5-h100", "azure-nd96-h100"),
        ("3-year", "inferencex-h100-rental-3y", "inferencex-h100-neocloud"),
        ("silybench", "nebius-h100", "aws-p5-h100"),
    ],
)
def test_a_word_keeps_the_rows_that_say_it(word: str, there: str, not_there: str) -> None:
    ids = {row["id"] for row in document("prices", word)["price"]}
    assert there in ids
    assert not_there not in ids


def test_nothing_found_says_so() -> None:
    assert printed("prices", "zzz") == "No price says that; `kilotoken prices` lists all.\n"
    assert printed("devices", "zzz") == "No device says that; `kilotoken devices` lists all.\n"
    assert document("prices", "zzz")["price"] == []


def test_the_users_rows_are_listed_as_theirs(config: Path) -> None:
    (config / "prices.toml").write_text(PRICE)
    (config / "devices.toml").write_text(DEVICE)
    (row,) = document("prices", "ours")["price"]
    assert row["file"] == str(config / "prices.toml")
    shown = printed("prices", "invoice")
    assert "yours: invoice [of] October" in shown
    assert "2.50" in shown
    assert "some-model" in printed("prices", "some-api")
    assert "yours: sheet" in printed("devices", "our-card")


def test_devices_are_listed_with_dashes_for_what_is_not_stated() -> None:
    found = document("devices", "l4")["device"]
    assert [row["name"] for row in found] == ["L4", "L40S"]
    shown = printed("devices")
    for words in ("H100-SXM", "3350", "989.4", "66.9", "2026-11-26", "link GB/s", "–"):
        assert words in shown


def test_a_wrong_file_stops_the_list(config: Path) -> None:
    (config / "prices.toml").write_text(PRICE.replace("usd_per_hour = 2.5", "usd_per_hour = -1"))
    done = CliRunner().invoke(app, ["prices"])
    assert isinstance(done.exception, ConfigError)
    assert "usd_per_hour: input should be greater than 0 (given: -1)" in done.exception.message


@pytest.mark.parametrize(
    ("usd", "text"), [(2.0, "2.00"), (3.99, "3.99"), (10.9791, "10.9791"), (0.083, "0.083"), (12.5, "12.50"), (100.0, "100.00")]
)  # fmt: skip
def test_amounts_lose_no_digit(usd: float, text: str) -> None:
    assert amount(usd) == text


def test_figures_have_no_superfluous_digits() -> None:
    assert [number(x) for x in (80.0, 362.05, 1978.9, None)] == ["80", "362.05", "1978.9", "–"]

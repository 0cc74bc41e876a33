from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.errors import ConfigError
from workbench.catalogue_files import PRICES, user_file, user_path
from workbench.catalogue_rows import rows_of
from workbench.device_catalogue import load_devices
from workbench.price_catalogue import SECTIONS, Prices, load_prices, price_named
from workbench.price_rows import ApiListPrice, CataloguePrice, ElectricityTariff, FacilityPue

TODAY = date(2026, 11, 26)
DEVICES = load_devices(None)
OURS = """
[[price]]
id = "ours"
device = "h100"
usd_per_hour = 2.5
commitment = "1-year"
basis = "invoice"
source = "invoice of October"
as_of = 2026-10-31
"""


def load(path: Path | None = None, today: date = TODAY) -> Prices:
    return load_prices(path, today=today, devices=DEVICES)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def changed(**values: str) -> str:
    """OURS with other values; an empty one takes the key out."""
    lines = [line for line in OURS.splitlines() if line.split(" = ")[0] not in values]
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in values.items() if value)])


def test_every_row_of_the_product_can_be_used() -> None:
    prices = load()
    assert len(prices.of(CataloguePrice)) > 40
    assert prices.of(ElectricityTariff)
    assert prices.of(FacilityPue)
    assert prices.of(ApiListPrice) == (), "rows of APIs need a test of their amounts"
    for row in prices.of(CataloguePrice):
        assert row.device in DEVICES.rows, row.id
        assert date(2024, 1, 1) <= row.as_of <= TODAY
        assert 0.5 < row.usd_per_hour < 15.0, "a device hour, not an instance hour"
        price = row.to_price()
        assert (price.usd_per_hour, price.as_of) == (row.usd_per_hour, row.as_of)
        assert price.source.startswith(f"{row.id}: ")


def test_what_was_not_dated_is_not_a_row() -> None:
    amounts = {row.usd_per_hour for row in load().of(CataloguePrice)}
    assert not amounts & {0.8048, 0.80, 1.861, 1.86, 14.2416, 14.24}
    assert {row.device for row in load().of(CataloguePrice)}.isdisjoint({"L4"})


def test_an_instance_costs_what_its_list_says() -> None:
    """55.04 USD for the eight of a p5.48xlarge; 63.296 for a p5en.48xlarge."""
    prices = load()
    assert prices.find("aws-p5-h100").to_price(8).usd_per_hour == pytest.approx(55.04)
    assert prices.find("aws-p5en-h200").to_price(8).usd_per_hour == pytest.approx(63.296)
    source = prices.find("aws-p5-h100").to_price(8).source
    assert source.endswith("(us-east-1, on-demand, list-price, sold 8 at a time)")
    with pytest.raises(ValueError, match="at least one device"):
        prices.find("aws-p5-h100").to_price(0)


def test_a_users_row_replaces_the_one_of_its_id_and_others_are_added(tmp_path: Path) -> None:
    path = written(
        tmp_path, OURS + changed(id='"lambda-a100-80"', device='"A100-SXM-80GB"', usd_per_hour="1.11")
    )
    prices = load(path)
    assert prices.own == {"ours", "lambda-a100-80"}
    assert prices.find("lambda-a100-80").usd_per_hour == 1.11
    assert prices.find("lambda-a100-80").sold_in == 1, "the row is replaced whole"
    assert prices.find("ours").device == "H100-SXM", "another name of a device is the device"
    assert prices.rows.keys() == load().rows.keys() | {"ours"}
    assert load().find("lambda-a100-80").usd_per_hour == 2.79


def test_a_box_that_is_no_known_device_leaves_it_out(tmp_path: Path) -> None:
    row = load(written(tmp_path, changed(device="", id='"our-cpu-box"'))).find("our-cpu-box")
    assert row.device is None
    assert row.to_price().usd_per_hour == 2.5


KEYS = "as_of, basis, commitment, device, id, region, sold_in, source, unit, usd_per_hour"  # all that a price may say


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            changed(as_of=""),
            "[[price]] 1 (ours): the key 'as_of' is missing: day on which the source said so, as YYYY-MM-DD; no dollars "
            "without a date.",
        ),
        (changed(as_of='"last week"'), "[[price]] 1 (ours): as_of: a day is written YYYY-MM-DD (given: 'last week')."),
        (changed(as_of="2026-11-27"), "ours is of 2026-11-27, which is after today (2026-11-26)."),
        (
            changed(source=""),
            "[[price]] 1 (ours): the key 'source' is missing: where the figures come from: a page, a data sheet, an "
            "invoice, or 'declared for this example'.",
        ),
        (changed(source='" "'), "[[price]] 1 (ours): source: string should match pattern '\\S' (given: ' ')."),
        (changed(usd_per_hour="0"), "[[price]] 1 (ours): usd_per_hour: input should be greater than 0 (given: 0)."),
        (
            changed(usd_per_hour="-2.5"),
            "[[price]] 1 (ours): usd_per_hour: input should be greater than 0 (given: -2.5).",
        ),
        (changed(usd_per_hour="nan"), "[[price]] 1 (ours): usd_per_hour: input should be a finite number (given: nan)."),
        (changed(usd_per_hour="inf"), "[[price]] 1 (ours): usd_per_hour: input should be a finite number (given: inf)."),
        (
            changed(usd_per_hour='"2.50"'),
            "[[price]] 1 (ours): usd_per_hour: input should be a valid number (given: '2.50').",
        ),
        (
            changed(usd_per_hour="", eur_per_hour="2.2"),
            "[[price]] 1 (ours): the key 'usd_per_hour' is missing: rent, USD an hour for ONE device, whatever the "
            f"instance holds. unknown key 'eur_per_hour'; did you mean 'usd_per_hour'? Allowed here: {KEYS}.",
        ),
        (
            changed(basis='"guess"'),
            "[[price]] 1 (ours): basis: input should be 'list-price', 'market-model', 'ownership-model', 'invoice' or "
            "'declared' (given: 'guess').",
        ),
        (
            changed(unit='"USD/instance-hour"'),
            "[[price]] 1 (ours): unit: input should be 'USD/device-hour' (given: 'USD/instance-hour').",
        ),
        (
            changed(id='"Our Box"'),
            "[[price]] 1 (Our Box): id: string should match pattern '^[a-z0-9]+(-[a-z0-9]+)*$' (given: 'Our Box').",
        ),
        (
            changed(sold_in="0"),
            "[[price]] 1 (ours): sold_in: input should be greater than or equal to 1 (given: 0).",
        ),
        (changed(device='"h10"'), "ours: device: There is no device 'h10'; the nearest names are H100-SXM and A10."),
        (OURS + OURS, "'ours' names two rows."),
        ("[price]\nid = 'x'", "'price' is not a list of rows."),
        ("[[prices]]\nid = 'x'", "unknown section 'prices'; did you mean 'price'? Allowed here: api, electricity, price, pue."),
        ("[[price]]\nid = ", "is not valid TOML: Invalid value (at end of document)."),
        (
            "[[electricity]]\nid = 'aws-p5-h100'\nusd_per_kwh = 0.1\nbasis = 'invoice'\nsource = 's'\nas_of = 2026-10-01",
            "aws-p5-h100 is a row of [[electricity]] here, and of [[price]] in kilotoken's own prices.toml.",
        ),
        (
            "[[pue]]\nid = 'ours'\nratio = 0.9\nbasis = 'measured'\nsource = 's'\nas_of = 2026-10-01",
            "[[pue]] 1 (ours): ratio: input should be greater than or equal to 1 (given: 0.9).",
        ),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        load(path)
    said = refused.value.message
    assert said.removeprefix(str(path)).removeprefix(":").strip() == message
    assert refused.value.hint


def test_a_file_that_is_not_text_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(path)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("h10", "the nearest names are aws-p5-h100, azure-nd96-h100 and gcp-a3-h100"),
        ("a100-80", "the nearest names are aws-p4de-a100-80, lambda-a100-80 and runpod-a100-80"),
        ("lambda-a100-8O", "the nearest names are lambda-a100-80, "),
        ("runpod-l40", "the nearest names are runpod-l40s"),
    ],
)
def test_a_name_that_is_none_gets_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load().find(name)
    assert refused.value.message.startswith(f"There is no price {name!r}; {nearest}")
    assert "`kilotoken prices` lists all" in refused.value.hint


def test_a_name_like_nothing_gets_no_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"^There is no price 'zzzzzzzz'\.$"):
        load().find("zzzzzzzz")


def test_a_device_names_its_only_price_and_no_other() -> None:
    prices = load()
    assert prices.find("l40s").id == "runpod-l40s"
    assert prices.find("NVIDIA A10G").id == "aws-g5-a10g"
    with pytest.raises(ConfigError) as several:
        prices.find("h100")
    assert several.value.message == "'h100' is the device H100-SXM, which has 11 prices."
    assert "for example aws-p5-h100, azure-nd96-h100, gcp-a3-h100" in several.value.hint
    with pytest.raises(ConfigError, match=r"^There is no price of a L4\.$"):
        prices.find("L4")
    with pytest.raises(ConfigError, match=r"^us-commercial is a row of \[\[electricity\]\], not the price"):
        prices.find("us-commercial")


def test_case_and_spaces_make_no_difference() -> None:
    assert load().find(" Lambda A100_80 ").id == "lambda-a100-80"


def test_a_price_warns_from_its_181st_day() -> None:
    prices = load()
    row = prices.find("lambda-a100-80")
    young, old = row.as_of + timedelta(days=180), row.as_of + timedelta(days=181)
    assert price_named(row.id, young, prices) == (row, ())
    found, (warning,) = price_named(row.id, old, prices)
    assert found == row
    assert warning == (
        "lambda-a100-80 is of 2026-09-25, 181 days ago, and prices change within months: look it up again "
        "(lambda.ai/pricing, 8x, as read by silybench-data (gpu_prices.csv))."
    )


def test_where_the_users_file_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert user_path(PRICES, {}) == tmp_path / "home/.config/kilotoken/prices.toml"
    xdg = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert user_path(PRICES, xdg) == tmp_path / "kilotoken/prices.toml"
    assert user_path(PRICES, xdg | {"KILOTOKEN_PRICES": "/k.toml"}) == Path("/k.toml")
    assert user_path(PRICES, xdg | {"KILOTOKEN_PRICES": ""}) == tmp_path / "kilotoken/prices.toml"
    assert user_file(PRICES, xdg) is None
    with pytest.raises(
        ConfigError, match=r"^KILOTOKEN_PRICES names /nowhere/k\.toml, which does not exist\.$"
    ):
        user_file(PRICES, {"KILOTOKEN_PRICES": "/nowhere/k.toml"})


def test_the_users_file_is_found_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KILOTOKEN_PRICES", raising=False)
    monkeypatch.delenv("KILOTOKEN_DEVICES", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "kilotoken").mkdir()
    (tmp_path / "kilotoken" / "prices.toml").write_text(OURS)
    found, warnings = price_named("ours", TODAY)
    assert (found.usd_per_hour, warnings) == (2.5, ())
    monkeypatch.setenv("KILOTOKEN_PRICES", str(written(tmp_path, changed(usd_per_hour="3.5"))))
    assert price_named("ours", TODAY)[0].usd_per_hour == 3.5


@given(
    st.floats(1e-6, 1e6),
    st.integers(1, 16),
    st.dates(date(2020, 1, 1), TODAY),
)
def test_what_a_row_says_is_what_is_read(usd: float, devices: int, as_of: date) -> None:
    text = changed(usd_per_hour=repr(usd), as_of=as_of.isoformat(), sold_in=str(devices))
    (row,) = rows_of(text, SECTIONS, origin="test", hint="").values()
    assert isinstance(row, CataloguePrice)
    assert (row.usd_per_hour, row.sold_in, row.as_of) == (usd, devices, as_of)
    assert row.to_price(devices).usd_per_hour == pytest.approx(usd * devices)
    assert row.age_days(TODAY) == (TODAY - as_of).days

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.errors import ConfigError
from accounting.estimate.weight_bytes import Format
from workbench.catalogue_rows import rows_of
from workbench.device_catalogue import DeviceRow, device_named, load_devices
from workbench.nearest_names import nearest_names, spelled

OURS = """
[[device]]
name = "Our-Card"
aliases = ["our card 48gb"]
memory_gib = 48
bandwidth_gb_per_s = 864
tflops = { bfloat16 = 181.05, fp8 = 362 }
source = "maker's data sheet"
as_of = 2026-11-26
"""


@pytest.fixture(autouse=True)
def no_file_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KILOTOKEN_DEVICES", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_every_device_of_the_product_is_one_of_the_estimate() -> None:
    devices = load_devices(None)
    assert len(devices.rows) >= 15
    for row in devices.rows.values():
        device = row.to_device()
        assert date(2020, 1, 1) <= device.as_of <= date(2026, 11, 26)
        assert 20 * 2**30 < device.memory_bytes < 300 * 2**30
        assert 2.5e11 < device.bandwidth_bytes_per_s < 1e13
        rates = device.flops_per_s
        assert rates[Format.FLOAT32] < rates[Format.BFLOAT16], "float32 is without TF32"
        for eight_bit in (Format.FP8, Format.INT8):
            ratio = device.rate(eight_bit) / rates[Format.BFLOAT16]
            assert eight_bit not in rates or 1.9 < ratio < 4.1, row.name
        assert 100 < rates[Format.BFLOAT16] / device.bandwidth_bytes_per_s < 500, (
            "dense operations for each byte"
        )
        assert 70 <= (device.board_watts or 0) <= 1400


def test_h100_by_hand() -> None:
    """81559 MiB, 3.35 TB/s, 989.4 dense bfloat16 TFLOPS (1978.9 with sparsity), NVLink of 900 GB/s."""
    device = device_named("H100-SXM")
    assert device.memory_bytes == pytest.approx(81559 * 2**20, rel=1e-3)
    assert device.bandwidth_bytes_per_s == 3.35e12
    assert device.flops_per_s == pytest.approx(
        {Format.BFLOAT16: 989.4e12, Format.FP8: 1978.9e12, Format.INT8: 1978.9e12, Format.FLOAT32: 66.9e12}
    )
    assert (device.link_bytes_per_s, device.board_watts) == (9e11, 700)
    assert device_named("L4").link_bytes_per_s is None


@pytest.mark.parametrize(
    ("printed", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "H100-SXM"),
        ("h100", "H100-SXM"),
        ("NVIDIA H100 PCIe", "H100-PCIe"),
        ("NVIDIA H200", "H200-SXM"),
        ("NVIDIA B200", "B200"),
        ("NVIDIA A100-SXM4-80GB", "A100-SXM-80GB"),
        ("NVIDIA A100-SXM4-40GB", "A100-SXM-40GB"),
        ("NVIDIA A100 80GB PCIe", "A100-PCIe-80GB"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA GeForce RTX 4090", "RTX-4090"),
        ("AMD Instinct MI300X OAM", "MI300X"),
        (" a100_sxm 80gb ", "A100-SXM-80GB"),
    ],
)
def test_what_drivers_print_is_a_name(printed: str, name: str) -> None:
    assert device_named(printed).name == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("h10", "There is no device 'h10'; the nearest names are H100-SXM and A10."),
        ("a100-80", "There is no device 'a100-80'; the nearest names are A100-SXM-80GB, A100-PCIe-80GB and A100-SXM-40GB."),
        ("mi300", "There is no device 'mi300'; the nearest name is MI300X."),
        ("tpu", "There is no device 'tpu'."),
    ],
)  # fmt: skip
def test_a_name_that_is_none_gets_the_nearest(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        device_named(name)
    assert refused.value.message == message
    assert "`kilotoken devices` lists all" in refused.value.hint


def test_a_users_device_is_added_or_replaces_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = OURS + OURS.replace('"Our-Card"', '"L4"').replace("our card 48gb", "nvidia l4")
    devices = load_devices(written(tmp_path, text))
    assert devices.own == {"Our-Card", "L4"}
    assert devices.find("NVIDIA L4").memory_gib == 48
    assert devices.find("our card 48GB").tflops.fp8 == 362
    assert load_devices(None).find("L4").memory_gib == 24
    monkeypatch.setenv("KILOTOKEN_DEVICES", str(tmp_path / "mine.toml"))
    assert device_named("our-card").flops_per_s == {Format.BFLOAT16: 181.05e12, Format.FP8: 362e12}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("memory_gib = 48\n", "", "[[device]] 1 (Our-Card): the key 'memory_gib' is missing: memory as the maker states it, GiB."),
        ("= 864", "= 0", "[[device]] 1 (Our-Card): bandwidth_gb_per_s: input should be greater than 0 (given: 0)."),
        ("= 864", "= nan", "[[device]] 1 (Our-Card): bandwidth_gb_per_s: input should be a finite number (given: nan)."),
        (
            "bandwidth_gb_per_s",
            "bandwidth_gbps",
            "[[device]] 1 (Our-Card): the key 'bandwidth_gb_per_s' is missing: memory bandwidth, 10^9 bytes a second. "
            "unknown key 'bandwidth_gbps'; did you mean 'bandwidth_gb_per_s'? Allowed here: aliases, as_of, "
            "bandwidth_gb_per_s, board_watts, link_gb_per_s, memory_gib, name, source, tflops, usable_gib.",
        ),
        (
            "fp8 =",
            "fp4 =",
            "[[device]] 1 (Our-Card): unknown key 'tflops.fp4'; did you mean 'fp8'? Allowed here: bfloat16, float32, fp8, "
            "int8.",
        ),
        (
            "bfloat16 = 181.05, ",
            "",
            "[[device]] 1 (Our-Card): the key 'tflops.bfloat16' is missing: with 16-bit weights.",
        ),
        (
            "memory_gib = 48\n",
            "memory_gib = 48\nusable_gib = 50\n",
            "[[device]] 1 (Our-Card): the file: usable_gib (50) cannot be above memory_gib (48): the driver shows no more "
            "than there is.",
        ),
        ("as_of = 2026-11-26\n", "", "[[device]] 1 (Our-Card): the key 'as_of' is missing: day on which the source said "
         "so, as YYYY-MM-DD; no dollars without a date."),
        ("our card 48gb", "h100", "'h100' names H100-SXM and Our-Card."),
        ('"Our-Card"', '"l4"', "'l4' names L4 and l4."),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_says_what_is_wrong(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = written(tmp_path, OURS.replace(old, new))
    with pytest.raises(ConfigError) as refused:
        load_devices(path)
    assert refused.value.message == f"{path}: {message}"
    assert refused.value.hint


amounts = st.floats(1e-3, 1e6)


@given(amounts, amounts, amounts, amounts, amounts)
def test_units_go_there_and_back(
    memory: float, bandwidth: float, bfloat16: float, int8: float, link: float
) -> None:
    text = (
        f"[[device]]\nname = 'x'\nmemory_gib = {memory!r}\nbandwidth_gb_per_s = {bandwidth!r}\nlink_gb_per_s = {link!r}\n"
        f"tflops = {{ bfloat16 = {bfloat16!r}, int8 = {int8!r} }}\nsource = 's'\nas_of = 2026-01-01\n"
    )
    (row,) = rows_of(text, {"device": DeviceRow}, origin="test", hint="").values()
    device = row.to_device()
    assert device.memory_bytes / 1024**3 == memory
    assert device.bandwidth_bytes_per_s / 1e9 == pytest.approx(bandwidth)
    assert device.link_bytes_per_s == pytest.approx(link * 1e9)
    assert device.flops_per_s == pytest.approx({Format.BFLOAT16: bfloat16 * 1e12, Format.INT8: int8 * 1e12})
    assert device.rate(Format.FP8) == device.flops_per_s[Format.BFLOAT16], (
        "what is left out is computed as bfloat16"
    )


def test_the_likest_names_come_first_and_ties_stay_in_order() -> None:
    spellings = {"b": ("abcd",), "a": ("abcd",), "c": ("zzzz", "abcde"), "d": ("zzzz",)}
    assert nearest_names("abcde", spellings) == ["c", "b", "a"]
    assert nearest_names("abcde", spellings, most=1) == ["c"]
    assert nearest_names("", spellings) == []
    assert spelled("  A100 _-SXM ") == "a100-sxm"

"""Energy counters of made-up machines: folders as the kernel's, bindings as NVML's and zeus's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from accounting.energy import EnergyCounter, MeterKind
from accounting.missing import Measured, not_measured
from serving.command import ServerCommand
from serving.process import ServerProcess
from workbench import cell, energy_meter
from workbench.energy_meter import (
    BETWEEN_S,
    ELSEWHERE,
    NO_PYNVML,
    NO_ZEUS,
    NOT_STARTED_HERE,
    EnergyMeter,
    energy_meter_of,
    find_counters,
)
from workbench.energy_source import EnergySource, Found
from workbench.gpu_energy import MIXED_BOARDS, NO_SLICES, NOT_VISIBLE, OTHER_VISIBLE, nvml_boards, zeus_boards
from workbench.rapl_energy import rapl_packages
from workbench.server_under_test import ServerUnderTest

RANGE_UJ = 65_532_610_987


class NvmlError(Exception):
    pass


class NvmlNotSupportedError(NvmlError):
    pass


def says(source: EnergySource) -> Measured:
    return source.read_joules()


def meters(found: Found) -> list[str]:
    return [source.counter.meter for source in found.sources]


def reason(found: Found) -> str:
    """Why the only source cannot be read."""
    (source,) = found.sources
    said = says(source)
    assert said.value is None
    return said.reason


# CPU packages


@dataclass
class Powercap:
    """RAPL's folder."""

    root: Path

    def zone(self, zone: str, name: str, energy_uj: object, range_uj: object = RANGE_UJ) -> Powercap:
        folder = self.root / "sys" / "class" / "powercap" / zone
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in (("name", name), ("energy_uj", energy_uj), ("max_energy_range_uj", range_uj)):
            if text is not None:
                (folder / file).write_text(f"{text}\n")
        return self

    def found(self) -> Found:
        return rapl_packages(self.root / "sys" / "class" / "powercap")


@pytest.fixture
def powercap(tmp_path: Path) -> Powercap:
    return Powercap(tmp_path)


def test_each_package_is_a_counter_and_what_holds_or_is_held_by_one_is_none(powercap: Powercap) -> None:
    """psys is the whole platform: with it the packages would be counted twice."""
    powercap.zone("intel-rapl", "", None)
    powercap.zone("intel-rapl:0", "package-0", 1_500_000).zone("intel-rapl:0:0", "core", 7)
    powercap.zone("intel-rapl:0:1", "dram", 8).zone("intel-rapl:1", "package-1", 2_000_000)
    powercap.zone("intel-rapl:2", "psys", 9).zone("intel-rapl-mmio:0", "package-0", 10)
    powercap.zone("intel-rapl:1:0", "package-1-part", 11)
    found = powercap.found()
    assert meters(found) == ["CPU package-0 (intel-rapl:0)", "CPU package-1 (intel-rapl:1)"]
    assert [says(source).value for source in found.sources] == [1.5, 2.0]
    assert [source.counter.range_joules for source in found.sources] == [pytest.approx(65532.610987)] * 2


def test_a_machine_without_rapl_lacks_it(powercap: Powercap) -> None:
    assert powercap.found() == Found(MeterKind.CPU_PACKAGE, (), "no RAPL counter")
    assert powercap.zone("intel-rapl:0", "psys", 9).found().lacking == "no RAPL counter"


def test_a_counter_for_root_alone_says_so(powercap: Powercap, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path.read_text

    def as_a_user(path: Path, *args: Any, **options: Any) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return whole(path, *args, **options)

    powercap.zone("intel-rapl:0", "package-0", 1)
    monkeypatch.setattr(Path, "read_text", as_a_user)
    assert "intel-rapl:0/energy_uj is for root alone" in reason(powercap.found())


@pytest.mark.parametrize(
    ("energy_uj", "range_uj", "why"),
    [
        (None, RANGE_UJ, "cannot be read"),
        ("", RANGE_UJ, "cannot be read"),
        (1, None, "does not say where its counter begins anew"),
        (1, 0, "does not say where its counter begins anew"),
    ],
)
def test_a_damaged_zone_is_not_measured(
    powercap: Powercap, energy_uj: object, range_uj: object, why: str
) -> None:
    assert why in reason(powercap.zone("intel-rapl:0", "package-0", energy_uj, range_uj).found())


# NVIDIA's boards


def nvml(
    boards: Sequence[tuple[Any, Any]] = (("H100", "GPU-a1"), ("H100", "GPU-b2"), ("H100", "GPU-a3")),
    energy: Callable[[int], float] = lambda index: 1000 * (index + 1),
    **changes: Any,
) -> SimpleNamespace:
    return SimpleNamespace(
        **{
            "NVMLError": NvmlError,
            "NVMLError_NotSupported": NvmlNotSupportedError,
            "nvmlInit": lambda: None,
            "nvmlDeviceGetCount": lambda: len(boards),
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetName": lambda index: boards[index][0],
            "nvmlDeviceGetUUID": lambda index: boards[index][1],
            "nvmlDeviceGetTotalEnergyConsumption": energy,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("listed", "indices"),
    [
        (None, [0, 1, 2]),
        ("2, 0", [2, 0]),
        ("0,0", [0]),
        ("0,-1,1", [0]),  # CUDA sees nothing after the first that names no board
        ("7", []),
        ("GPU-b", [1]),
        ("GPU-a3,GPU-b2", [2, 1]),
        ("GPU-a", []),  # names two
        ("", []),
        ("NoDevFiles", []),
    ],
)
def test_boards_are_those_that_cuda_shows_the_server(listed: str | None, indices: list[int]) -> None:
    found = nvml_boards(nvml(), {} if listed is None else {"CUDA_VISIBLE_DEVICES": listed})
    assert meters(found) == [f"GPU {index} (H100)" for index in indices]
    assert [says(source).value for source in found.sources] == [index + 1.0 for index in indices]
    assert found.lacking == ("" if indices else NOT_VISIBLE)


def test_indices_of_unlike_boards_count_only_in_slot_order() -> None:
    mixed = nvml([("T4", "GPU-a"), ("H100", "GPU-b")])
    assert reason(nvml_boards(mixed, {"CUDA_VISIBLE_DEVICES": "0"})) == MIXED_BOARDS
    ordered = {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert meters(nvml_boards(mixed, ordered)) == ["GPU 1 (H100)"]
    assert meters(nvml_boards(mixed, {"CUDA_VISIBLE_DEVICES": "GPU-b"})) == ["GPU 1 (H100)"]
    assert len(nvml_boards(mixed, {}).sources) == 2


def test_a_slice_of_a_board_has_no_counter() -> None:
    assert reason(nvml_boards(nvml(), {"CUDA_VISIBLE_DEVICES": "MIG-0d5c"})) == NO_SLICES


def test_an_older_binding_answers_in_bytes() -> None:
    found = nvml_boards(nvml([(b"V100", b"GPU-a")]), {"CUDA_VISIBLE_DEVICES": "GPU-a"})
    assert meters(found) == ["GPU 0 (V100)"]


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any) -> None:
        raise error

    return fail


def test_a_board_without_a_counter_says_so() -> None:
    found = nvml_boards(nvml([("P100", "GPU-a")], raising(NvmlNotSupportedError("Not Supported"))), {})
    assert reason(found) == "GPU 0 (P100) has no energy counter: boards have one from Volta on"


@pytest.mark.parametrize("broken", ["nvmlInit", "nvmlDeviceGetName", "nvmlDeviceGetTotalEnergyConsumption"])
def test_a_driver_that_fails_is_quoted(broken: str) -> None:
    found = nvml_boards(nvml([("H100", "GPU-a")], **{broken: raising(NvmlError("GPU is lost"))}), {})
    assert "NVML says GPU is lost" in reason(found)


# AMD's boards


class ZeusError(Exception):
    pass


@dataclass
class Gpus:
    """zeus's GPUs, of which the last one's counter lies."""

    millijoules: list[Any] = field(default_factory=lambda: [2500, 0])

    def __len__(self) -> int:
        return len(self.millijoules)

    def get_name(self, index: int) -> str:
        return "MI300X"

    def supports_get_total_energy_consumption(self, index: int) -> bool:
        return index < 1

    def get_total_energy_consumption(self, index: int) -> int:
        return int(self.millijoules[index])


def zeus(get_gpus: Callable[[], Any]) -> SimpleNamespace:
    return SimpleNamespace(ZeusBaseGPUError=ZeusError, get_gpus=get_gpus)


@pytest.fixture
def none_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("none_hidden")
def test_amd_boards_are_read_through_zeus_and_a_counter_that_lies_is_none() -> None:
    good, lying = zeus_boards(zeus(Gpus), {}).sources
    assert (good.counter.meter, says(good).value) == ("GPU 0 (MI300X)", 2.5)
    assert says(lying).reason == "GPU 1 (MI300X): zeus finds no energy counter that can be trusted"


@pytest.mark.usefixtures("none_hidden")
@pytest.mark.parametrize("error", [ZeusError("no permission"), ValueError("no permission")])
def test_what_zeus_cannot_read_is_not_measured(error: Exception) -> None:
    assert reason(zeus_boards(zeus(raising(error)), {})) == "zeus says no permission"


@pytest.mark.usefixtures("none_hidden")
def test_an_answer_that_is_no_number_is_not_measured() -> None:
    assert "zeus says" in reason(zeus_boards(zeus(lambda: Gpus(["N/A"])), {}))


def test_zeus_sees_what_kilotoken_may_use_so_the_server_must_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "0")
    assert reason(zeus_boards(zeus(Gpus), {})) == OTHER_VISIBLE


# What a machine has


def machine(tmp_path: Path, *folders: str) -> dict[str, Path]:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    return {"proc": tmp_path / "proc", "sys": tmp_path / "sys"}


def no_such_module(name: str) -> Any:
    raise ImportError(name)


def test_a_machine_without_any_counter_lacks_both_and_imports_nothing(tmp_path: Path) -> None:
    imported: list[str] = []
    found = find_counters({}, **machine(tmp_path), load=imported.append)
    assert [(f.lacking, list(f.sources)) for f in found] == [("no RAPL counter", []), ("no NVIDIA GPU", [])]
    assert imported == []


@pytest.mark.usefixtures("none_hidden")
@pytest.mark.parametrize(
    ("driver", "module", "binding", "meter"),
    [
        ("proc/driver/nvidia", "pynvml", nvml([("H100", "GPU-a")]), "GPU 0 (H100)"),
        ("sys/class/kfd", "zeus.device.gpu", zeus(lambda: Gpus([1000])), "GPU 0 (MI300X)"),
    ],
)
def test_the_driver_decides_which_binding_is_asked(
    tmp_path: Path, driver: str, module: str, binding: Any, meter: str
) -> None:
    def load(name: str) -> Any:
        assert name == module
        return binding

    _, boards = find_counters({}, **machine(tmp_path, driver), load=load)
    assert meters(boards) == [meter]


@pytest.mark.parametrize(("driver", "why"), [("proc/driver/nvidia", NO_PYNVML), ("sys/class/kfd", NO_ZEUS)])
def test_a_binding_that_is_not_installed_is_named(tmp_path: Path, driver: str, why: str) -> None:
    _, boards = find_counters({}, **machine(tmp_path, driver), load=no_such_module)
    assert reason(boards) == why


def test_an_engine_on_the_cpu_uses_no_board(tmp_path: Path) -> None:
    _, boards = find_counters({}, on_cpu=True, **machine(tmp_path, "proc/driver/nvidia"), load=no_such_module)
    assert boards == Found(MeterKind.GPU_BOARD, (), NOT_VISIBLE)


# Whose devices


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Mapping[str, str], bool]]:
    """Environments that counters were looked for with, and whether the engine was on the CPU."""
    calls: list[tuple[Mapping[str, str], bool]] = []

    def find(environment: Mapping[str, str], *, on_cpu: bool = False) -> list[Found]:
        calls.append((environment, on_cpu))
        return []

    monkeypatch.setattr(energy_meter, "find_counters", find)
    return calls


def test_a_server_on_another_machine_is_not_measured(asked: list[Any]) -> None:
    plain = energy_meter_of(ServerUnderTest("http://192.0.2.7:8000", "m")).plain()
    assert (plain["reason"], plain["counters"], asked) == (ELSEWHERE, [], [])


def test_a_server_that_runs_here_is_measured_with_every_board_and_says_so(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")  # ours, not the server's
    plain = energy_meter_of(ServerUnderTest("http://127.0.0.1:8000", "m")).plain()
    assert (plain["reason"], plain["note"], asked) == ("", NOT_STARTED_HERE, [({}, False)])


def test_a_server_that_we_started_is_measured_with_the_boards_of_its_environment(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    server = ServerUnderTest(
        "http://127.0.0.1:8000",
        "m",
        process=cast(ServerProcess, object()),
        command=ServerCommand((), {"CUDA_VISIBLE_DEVICES": "1"}),
        resolved={"device_config.device": "cpu"},
    )
    assert energy_meter_of(server).plain()["note"] == ""
    ((environment, on_cpu),) = asked
    assert (environment["CUDA_VISIBLE_DEVICES"], environment["CUDA_DEVICE_ORDER"]) == ("1", "PCI_BUS_ID")
    assert on_cpu


# A window


@dataclass
class Bench:
    """A board of 300 W, a package of 50 W whose counter begins anew every 1000 J, and a package for root alone."""

    root: Path
    now_s: float = 100.0

    def meter(self) -> EnergyMeter:
        powercap = Powercap(self.root).zone("intel-rapl:0", "package-0", 0, 1_000_000_000)
        energy = self.root / "sys/class/powercap/intel-rapl:0/energy_uj"

        def joules(_index: int) -> float:
            energy.write_text(str(round(self.now_s * 50e6) % 1_000_000_000))
            return self.now_s * 300e3

        (package,) = powercap.found().sources
        board = nvml_boards(nvml([("H100", "GPU-a")], joules), {})
        unread = EnergySource(EnergyCounter("CPU 9", MeterKind.CPU_PACKAGE, 0.001, 9.0), refused)
        return EnergyMeter([board, Found(MeterKind.CPU_PACKAGE, [package, unread])], clock=lambda: self.now_s)


def refused() -> Measured:
    return not_measured("for root alone")


def test_both_edges_are_read_and_a_failed_reading_keeps_its_reason(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.meter()
    meter.start()
    bench.now_s = 130.0
    meter.end()
    plain = meter.plain()
    assert [c["meter"] for c in plain["counters"]] == [
        "GPU 0 (H100)", "CPU package-0 (intel-rapl:0)", "CPU 9"
    ]  # fmt: skip
    for edge, at_s in (("window_start", 100.0), ("window_end", 130.0)):
        assert [(r["joules"], r["at_s"]) for r in plain[edge]] == [
            (at_s * 300.0, at_s), (at_s * 50.0 % 1000.0, at_s), (None, at_s)
        ]  # fmt: skip
        assert plain[edge][2]["reason"] == "for root alone"
    assert plain["between"] == []


def test_counters_that_begin_anew_are_looked_at_between_the_edges_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.meter()
    meter.between()  # the window is not open
    meter.start()
    for second in range(1, 76):
        bench.now_s = 100.0 + second
        meter.between()
    meter.end()
    bench.now_s += 500.0
    meter.between()  # it is closed
    rows = meter.plain()["between"]
    assert [[reading["meter"] for reading in row] for row in rows] == [
        ["CPU package-0 (intel-rapl:0)", "CPU 9"]
    ] * 2
    assert [row[0]["at_s"] for row in rows] == [100.0 + BETWEEN_S, 100.0 + 2 * BETWEEN_S]


def test_a_cell_reads_energy_at_the_edges_of_its_window_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    observed = cell._Observed(metrics_error="no counters", energy=bench.meter())
    for edge, now_s in zip(
        (cell.IDLE_BEFORE, cell.WINDOW_START, cell.WINDOW_END, cell.IDLE_AFTER),
        (1.0, 5.0, 35.0, 60.0),
        strict=True,
    ):
        bench.now_s = now_s
        cell._edge(edge, cast(Any, None), cast(Any, None), observed)
    assert observed.energy is not None
    plain = observed.energy.plain()
    assert [plain[edge][0]["at_s"] for edge in ("window_start", "window_end")] == [5.0, 35.0]


def test_a_reading_costs_less_than_a_millisecond(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1).zone("intel-rapl:1", "package-1", 2)
    meter = EnergyMeter([powercap.found(), nvml_boards(nvml(), {})])
    spent = []
    for _ in range(20):
        begun = time.perf_counter()
        meter.start()
        spent.append(time.perf_counter() - begun)
    assert min(spent) < 1e-3
    assert [reading["joules"] for reading in meter.plain()["window_start"]] == [1e-6, 2e-6, 1.0, 2.0, 3.0]

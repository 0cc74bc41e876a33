from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from accounting.errors import RunError
from accounting.host_noise import GpuSample
from workbench.gpu_sampler import GpuSampler, find_gpu_sampler
from workbench.host_sampler import (
    NO_FREQUENCY,
    NO_PRESSURE,
    NO_QUOTA,
    HostSampler,
    read_host_samples,
    write_host_samples,
)

TICKS = os.sysconf("SC_CLK_TCK")
SERVER, CHILD, LOAD, STRANGER, LATECOMER = 100, 101, 200, 300, 400


@dataclass
class Machine:
    """A machine made of files; CPU times in seconds."""

    root: Path
    now_s: float = 50.0
    cpu: dict[int, list[float]] = field(default_factory=lambda: {n: [0.0] * 8 for n in range(4)})
    processes: dict[int, tuple[int, float, float]] = field(
        default_factory=dict
    )  # parent, own, ended children's

    def write(self) -> None:
        proc = self.root / "proc"
        lines = ["cpu 0 0 0 0 0 0 0 0 0 0"]
        lines += [
            f"cpu{n} {' '.join(str(round(s * TICKS)) for s in times)} 0 0" for n, times in self.cpu.items()
        ]
        self.put("proc/stat", "\n".join([*lines, "intr 5"]))
        for entry in proc.iterdir():
            if entry.name.isdigit() and int(entry.name) not in self.processes:
                (entry / "stat").unlink()
                entry.rmdir()
        for pid, (parent, own_s, children_s) in self.processes.items():
            ticks = f"{round(own_s * TICKS)} 0 {round(children_s * TICKS)} 0"
            self.put(
                f"proc/{pid}/stat", f"{pid} (a (odd) name) S {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 20 0 1 0 77"
            )

    def put(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def sampler(self, *roots: int, gpus: GpuSampler | None = None) -> HostSampler:
        self.write()
        return HostSampler(
            lambda: roots,
            clock=lambda: self.now_s,
            proc=self.root / "proc",
            sys=self.root / "sys",
            cpus=[0, 1],
            gpus=gpus,
        )

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self.write()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    made.processes = {
        SERVER: (1, 5.0, 0.0),
        CHILD: (SERVER, 5.0, 0.0),
        LOAD: (1, 1.0, 0.0),
        STRANGER: (1, 9.0, 0.0),
    }
    return made


def test_busy_time_is_ours_or_foreign_and_interrupts_are_neither(machine: Machine) -> None:
    sampler = machine.sampler(SERVER, LOAD)
    machine.cpu[0] = [
        0.9,
        0.0,
        0.1,
        0.0,
        0.0,
        0.2,
        0.3,
        0.1,
    ]  # user nice system idle iowait irq softirq steal
    machine.cpu[1] = [0.5, 0.1, 0.2, 1.0, 0.0, 0.0, 0.0, 0.1]
    machine.cpu[2] = [2.0] * 8  # not one of ours
    machine.processes[CHILD] = (SERVER, 5.8, 0.0)
    machine.processes[LOAD] = (1, 1.2, 0.0)
    machine.processes[STRANGER] = (1, 9.8, 0.0)
    machine.pass_time(2.0)
    sample = sampler.sample()
    assert (sample.at_s, sample.interval_s, sample.cpus) == (52.0, 2.0, 2)
    assert sample.busy_cpus == pytest.approx(0.9)
    assert sample.own_cpus == pytest.approx(0.5)
    assert sample.foreign_cpus == pytest.approx(0.4)
    assert sample.steal_cpus == pytest.approx(0.1)


def test_each_sample_covers_the_time_since_the_one_before(machine: Machine) -> None:
    sampler = machine.sampler(SERVER)
    machine.cpu[0][0] = 1.0
    machine.pass_time(1.0)
    assert sampler.sample().busy_cpus == pytest.approx(1.0)
    machine.pass_time(1.0)
    assert sampler.sample().busy_cpus == 0.0


def test_a_child_that_ended_is_counted_once(machine: Machine) -> None:
    """Its five seconds from before go over to its parent with the last tenth: that tenth is what was spent."""
    sampler = machine.sampler(SERVER)
    del machine.processes[CHILD]
    machine.processes[SERVER] = (1, 5.2, 5.1)
    machine.pass_time(1.0)
    assert sampler.sample().own_cpus == pytest.approx(0.3)


def test_a_process_that_becomes_ours_does_not_bring_its_past(machine: Machine) -> None:
    roots = [SERVER]
    machine.write()
    sampler = HostSampler(
        lambda: roots, lambda: machine.now_s, machine.root / "proc", sys=machine.root / "sys", cpus=[0, 1]
    )
    roots.append(STRANGER)
    machine.processes[STRANGER] = (1, 9.4, 0.0)
    machine.processes[LATECOMER] = (STRANGER, 0.1, 0.0)
    machine.pass_time(1.0)
    assert sampler.sample().own_cpus == pytest.approx(0.5)


def test_a_root_that_is_gone_is_no_error(machine: Machine) -> None:
    sampler = machine.sampler(SERVER, 99999)
    del machine.processes[SERVER], machine.processes[CHILD]
    machine.pass_time(1.0)
    assert sampler.sample().own_cpus == 0.0


def test_pressure_quota_frequency_and_heat_are_read_where_there(machine: Machine) -> None:
    def state(waited_us: int, throttled_us: int, hot: int) -> None:
        machine.put(
            "proc/pressure/cpu", f"some avg10=0.0 avg60=0.0 avg300=0.0 total={waited_us}\nfull total=0"
        )
        machine.put(
            "sys/fs/cgroup/a/b/cpu.stat", f"usage_usec 1\nnr_throttled 2\nthrottled_usec {throttled_us}"
        )
        for n in (0, 1):
            machine.put(f"sys/devices/system/cpu/cpu{n}/thermal_throttle/core_throttle_count", f"{hot}\n")
            machine.put(
                f"sys/devices/system/cpu/cpu{n}/cpufreq/scaling_cur_freq", f"{2_000_000 + n * 500_000}\n"
            )

    machine.put("proc/self/cgroup", "0::/a/b\n")
    state(1_000_000, 0, 3)
    sampler = machine.sampler(SERVER)
    state(1_250_000, 400_000, 4)
    machine.pass_time(1.0)
    sample = sampler.sample()
    assert sample.pressure_share == pytest.approx(0.25)
    assert sample.throttled_cpus == pytest.approx(0.4)
    assert sample.thermal_throttles == 2
    assert sample.frequency_mhz == pytest.approx(2250.0)
    assert sample.not_measured == ()


def test_what_a_machine_does_not_say_is_missing_with_the_reason(machine: Machine) -> None:
    sampler = machine.sampler(SERVER)
    machine.pass_time(1.0)
    sample = sampler.sample()
    assert (sample.pressure_share, sample.throttled_cpus, sample.frequency_mhz, sample.thermal_throttles) == (
        (None,) * 4
    )
    assert sample.not_measured == (NO_PRESSURE, NO_QUOTA, NO_FREQUENCY)


def test_samples_survive_their_file_and_a_damaged_one_is_named(machine: Machine, tmp_path: Path) -> None:
    sampler = machine.sampler(SERVER)
    machine.pass_time(1.0)
    samples = [sampler.sample()]
    machine.pass_time(1.0)
    samples.append(sampler.sample())
    path = tmp_path / "host.jsonl"
    write_host_samples(samples, path)
    assert read_host_samples(path) == samples
    assert len(path.read_text().splitlines()) == 2
    path.write_text('{"at_s": 1')
    with pytest.raises(RunError, match=r"host\.jsonl cannot be read"):
        read_host_samples(path)


def test_this_very_machine_can_be_sampled_and_a_child_of_ours_is_ours() -> None:
    sampler = HostSampler(lambda: [os.getpid()])
    burn = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", burn], check=True, timeout=60)
    sample = sampler.sample()
    assert sample.own_cpus * sample.interval_s >= 0.35
    assert sample.cpus >= 1
    assert sample.busy_cpus <= sample.cpus * 1.1


class NVMLError(Exception):
    pass


def fake_nvml(**changes: Any) -> SimpleNamespace:
    return SimpleNamespace(
        **{
            "NVMLError": NVMLError,
            "NVML_CLOCK_SM": 1,
            "nvmlInit": lambda: None,
            "nvmlDeviceGetCount": lambda: 1,
            "nvmlDeviceGetHandleByIndex": lambda i: i,
            "nvmlDeviceGetClockInfo": lambda _handle, _kind: 1410,
            "nvmlDeviceGetCurrentClocksThrottleReasons": lambda _handle: 0x44,
            **changes,
        }
    )


def test_gpu_clocks_and_why_they_are_not_higher(machine: Machine) -> None:
    sampler = machine.sampler(SERVER, gpus=GpuSampler(fake_nvml()))
    machine.pass_time(1.0)
    assert sampler.sample().gpus == (GpuSample(0, 1410, ("sw_power_cap", "hw_thermal_slowdown")),)


def test_a_gpu_that_cannot_be_read_is_missing_with_the_reason(machine: Machine) -> None:
    def refuse(*_: Any) -> None:
        raise NVMLError("no permission")

    for broken in ({"nvmlInit": refuse}, {"nvmlDeviceGetClockInfo": refuse}):
        sampler = machine.sampler(SERVER, gpus=GpuSampler(fake_nvml(**broken)))
        machine.pass_time(1.0)
        sample = sampler.sample()
        assert sample.gpus == ()
        assert "no permission" in sample.not_measured[-1]


def test_without_a_driver_gpus_are_not_missed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write()
    assert find_gpu_sampler(machine.root / "proc").reason == ""
    machine.put("proc/driver/nvidia/version", "")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pynvml" in find_gpu_sampler(machine.root / "proc").reason

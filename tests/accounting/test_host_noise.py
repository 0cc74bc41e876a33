from typing import Any

import numpy as np
import pytest

from accounting.host_noise import GpuSample, HostSample, host_noise


def samples(foreign: Any = 0.0, steal: Any = 0.0, n: int = 30, **changes: Any) -> list[HostSample]:
    """One a second from second 1 on, on four CPUs; amounts in CPUs, one or one for each second."""
    series = zip(np.broadcast_to(foreign, n), np.broadcast_to(steal, n), strict=True)
    return [
        HostSample(
            at_s=i + 1.0,
            interval_s=1.0,
            cpus=4,
            busy_cpus=3.0 + float(f),
            own_cpus=3.0,
            foreign_cpus=float(f),
            steal_cpus=float(s),
            **changes,
        )
        for i, (f, s) in enumerate(series)
    ]


def test_a_busy_but_own_machine_is_quiet() -> None:
    noise = host_noise(samples(foreign=0.04), 0.0, 30.0)
    assert (noise.samples, noise.reason) == (30, "")
    assert noise.foreign_share == pytest.approx(0.01)


@pytest.mark.parametrize(
    "noisy",
    [
        samples(foreign=0.24),
        samples(steal=0.24),
        samples(foreign=0.12, steal=0.12),
        samples(foreign=np.where(np.arange(30) % 4 == 0, 0.45, 0.0)),
        samples(steal=np.where(np.arange(30) % 4 == 0, 0.25, 0.0)),
        samples(throttled_cpus=0.1),
        samples(thermal_throttles=1),
        samples(gpus=(GpuSample(0, 900, ("hw_thermal_slowdown",)),)),
    ],
)
def test_what_takes_the_machine_away_is_named(noisy: list[HostSample]) -> None:
    assert host_noise(noisy, 0.0, 30.0).reason


@pytest.mark.parametrize(
    "quiet",
    [
        samples(foreign=0.18),
        samples(foreign=np.where(np.arange(30) == 3, 3.0, 0.0)),
        samples(gpus=(GpuSample(0, 1980, ("sw_power_cap",)),)),
    ],
)
def test_what_does_not_is_not(quiet: list[HostSample]) -> None:
    assert host_noise(quiet, 0.0, 30.0).reason == ""


def test_only_the_window_counts() -> None:
    noisy_before = samples(foreign=np.where(np.arange(60) < 30, 2.0, 0.0), n=60)
    assert host_noise(noisy_before, 30.0, 60.0).reason == ""
    assert host_noise(noisy_before, 0.0, 30.0).reason


def test_an_unsampled_host_is_not_called_quiet() -> None:
    noise = host_noise([], 0.0, 30.0)
    assert noise.foreign_share is None
    assert noise.not_measured


def test_what_could_not_be_measured_is_said_once() -> None:
    assert host_noise(samples(not_measured=("no pressure",)), 0, 30).not_measured == ("no pressure",)

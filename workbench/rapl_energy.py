"""Energy counters of CPU packages: RAPL, as the kernel shows it under /sys/class/powercap (Intel, and AMD from Zen on).

Only zones named `package-...`: what lies below them (cores, memory) is part of them or no package, and `psys`, the
whole platform, holds them too.
"""

from __future__ import annotations

from pathlib import Path

from accounting.energy import EnergyCounter, MeterKind
from accounting.missing import Measured, measured, not_measured
from workbench.energy_source import EnergySource, Found, unreadable

KIND = MeterKind.CPU_PACKAGE
#: The counter moves about every millisecond (Intel's Software Developer's Manual, volume 3B, on RAPL).
STEP_S = 0.001


def rapl_packages(powercap: Path = Path("/sys/class/powercap")) -> Found:
    """The CPU packages of this machine."""
    zones = sorted(zone for zone in powercap.glob("intel-rapl:*") if zone.name.count(":") == 1)
    packages = [(zone, name) for zone in zones if (name := _text(zone / "name")).startswith("package")]
    if not packages:
        return Found(KIND, lacking="no RAPL counter")
    return Found(KIND, [_source(zone, name) for zone, name in packages])


def _source(zone: Path, name: str) -> EnergySource:
    meter = f"CPU {name} ({zone.name})"
    limit = _text(zone / "max_energy_range_uj")
    if not limit.isdigit() or int(limit) == 0:
        return unreadable(KIND, meter, f"{zone} does not say where its counter begins anew")
    return EnergySource(
        EnergyCounter(meter, KIND, STEP_S, range_joules=int(limit) / 1e6),
        lambda: _joules(zone / "energy_uj"),
    )


def _joules(path: Path) -> Measured:
    try:
        return measured(int(path.read_text()) / 1e6)
    except PermissionError:
        return not_measured(f"{path} is for root alone: let root make it readable, or run as root")
    except (OSError, ValueError) as error:
        return not_measured(f"{path} cannot be read: {error}")


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""

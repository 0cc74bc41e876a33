import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.energy import USABLE, EnergyCode, EnergyCounter, MeterKind, WindowEnergy, unusable
from accounting.machine_energy import NOT_METERED, joules_per_1k_tokens, machine_energy, summed
from accounting.missing import measured, not_measured

GPU, CPU = MeterKind.GPU_BOARD, MeterKind.CPU_PACKAGE
FAILED = sorted(set(EnergyCode) - USABLE)


def drawn(
    kind: MeterKind, joules: float, code: EnergyCode = EnergyCode.VALID
) -> tuple[EnergyCounter, WindowEnergy]:
    return EnergyCounter("a meter", kind, 0.1), WindowEnergy(measured(joules), code, 30.0)


def failed(kind: MeterKind, code: EnergyCode, reason: str = "why") -> tuple[EnergyCounter, WindowEnergy]:
    return EnergyCounter("a meter", kind, 0.1), unusable(code, reason)


def test_boards_and_packages_are_listed_apart_and_summed() -> None:
    together = machine_energy([drawn(CPU, 1500.0), drawn(GPU, 6000.0), drawn(GPU, 3000.0)], {})
    assert together.kinds[GPU].joules.value == 9000.0
    assert together.kinds[CPU].watts.value == pytest.approx(50.0)
    assert together.total.joules.value == 10500.0
    assert together.total.watts.value == pytest.approx(350.0)
    assert together.covers == ("GPU boards", "CPU packages")
    assert together.leaves_out == (NOT_METERED,)


def test_packages_that_nobody_can_read_are_left_out_by_name() -> None:
    together = machine_energy([drawn(GPU, 6000.0), failed(CPU, EnergyCode.NO_COUNTER, "for root alone")], {})
    assert together.total.joules.value == 6000.0
    assert together.covers == ("GPU boards",)
    assert together.leaves_out == ("CPU packages: for root alone", NOT_METERED)


def test_a_kind_that_the_machine_has_not_is_left_out_by_name() -> None:
    together = machine_energy([drawn(CPU, 1500.0)], {GPU: "no NVIDIA GPU"})
    assert together.total.joules.value == 1500.0
    assert together.covers == ("CPU packages",)
    assert together.leaves_out == ("GPU boards: this machine has no NVIDIA GPU", NOT_METERED)


@pytest.mark.parametrize("code", [code for code in FAILED if code is not EnergyCode.NO_COUNTER])
def test_packages_that_failed_in_this_window_leave_no_total(code: EnergyCode) -> None:
    """Else the total of one window would hold them and that of the next would not."""
    together = machine_energy([drawn(GPU, 6000.0), failed(CPU, code)], {})
    assert (together.total.joules.value, together.total.code) == (None, code)
    assert together.total.joules.reason == "CPU packages: why"
    assert together.covers == ()
    assert together.kinds[GPU].joules.value == 6000.0


def test_packages_alone_are_no_total_where_boards_cannot_be_read() -> None:
    together = machine_energy([drawn(CPU, 1500.0), failed(GPU, EnergyCode.NO_COUNTER, "too old")], {})
    assert together.total.joules.value is None
    assert together.total.joules.reason == "GPU boards: too old"


def test_a_machine_without_meters_says_what_it_has_not() -> None:
    together = machine_energy([], {CPU: "no RAPL counter", GPU: "no NVIDIA GPU"})
    assert (together.total.joules.value, together.total.code) == (None, EnergyCode.NO_COUNTER)
    assert together.total.joules.reason == "this machine has no RAPL counter and no NVIDIA GPU"
    unread = machine_energy([failed(CPU, EnergyCode.NO_COUNTER, "for root alone")], {GPU: "no NVIDIA GPU"})
    assert unread.total.joules.reason == "for root alone; this machine has no NVIDIA GPU"
    assert machine_energy([], {}).total.joules.reason == "no meter was looked for"


@given(
    st.lists(
        st.tuples(st.sampled_from(MeterKind), st.sampled_from(EnergyCode), st.floats(0.1, 1e6)), max_size=6
    )
)
def test_a_total_holds_all_of_each_kind_that_it_covers_or_there_is_none(
    meters: list[tuple[MeterKind, EnergyCode, float]],
) -> None:
    together = machine_energy(
        [
            drawn(kind, joules, code) if code in USABLE else failed(kind, code)
            for kind, code, joules in meters
        ],
        {},
    )
    total = together.total.joules.value
    if total is None:
        assert together.total.joules.reason
        assert together.total.code not in USABLE
        assert together.covers == ()
        return
    covered = [(code, joules) for kind, code, joules in meters if f"{kind}s" in together.covers]
    assert covered
    assert all(code in USABLE for code, _ in covered)
    assert total == pytest.approx(sum(joules for _, joules in covered))
    assert (together.total.code is EnergyCode.WRAPPED) == (EnergyCode.WRAPPED in dict(covered))


def test_nothing_has_no_sum() -> None:
    with pytest.raises(ValueError, match="not zero joules"):
        summed([])


def test_joules_per_1k_tokens_by_hand() -> None:
    """3000 J for 1500 tokens."""
    assert joules_per_1k_tokens(measured(3000.0), measured(1500)).value == 2000.0


def test_what_lacks_joules_or_tokens_has_the_reason() -> None:
    assert joules_per_1k_tokens(not_measured("stuck"), measured(1500)).reason == "stuck"
    assert joules_per_1k_tokens(measured(1.0), not_measured("withheld")).reason == "withheld"
    assert joules_per_1k_tokens(measured(1.0), measured(0)).reason == "no tokens were delivered in the window"
    with pytest.raises(ValueError, match="-1"):
        joules_per_1k_tokens(measured(1.0), measured(-1))

from typing import Any

from workbench.energy_shown import energy_line, energy_lines

BOTH = ["GPU boards", "CPU packages"]


def cell(arm: str, joules: float | None, load: str = "1 stream", **energy: Any) -> dict[str, Any]:
    covers = [] if joules is None else BOTH
    told = {"joules_per_1k_output_tokens": joules, "covers": covers, "reason": None, "note": None}
    return {"arm": arm, "workload": "chat", "load": load, "energy": told | energy}


def test_each_arm_s_joules_stand_by_place_and_repeats_as_a_span() -> None:
    cells = [
        cell("plain", 812.4),
        cell("ngram", 640.0),
        cell("plain", 812.1),
        cell("ngram", 655.0),
        cell("plain", 1235.2, "16 streams"),
        cell("ngram", 0.0704, "16 streams"),
    ]
    assert energy_lines(cells) == [
        "Joules per 1k output tokens (GPU boards and CPU packages alone): chat at 1 stream: plain 812, ngram 640 to "
        "655; chat at 16 streams: plain 1,235, ngram 0.0704."
    ]


def test_what_covers_other_devices_stands_in_a_line_of_its_own_with_its_note() -> None:
    cells = [cell("plain", 812.0), cell("other", 500.0, covers=["GPU boards"], note="every GPU is counted")]
    assert energy_lines(cells) == [
        "Joules per 1k output tokens (GPU boards and CPU packages alone): chat at 1 stream: plain 812.",
        "Joules per 1k output tokens (GPU boards alone): chat at 1 stream: other 500.",
        "Energy: every GPU is counted.",
    ]


def test_without_any_one_line_says_why() -> None:
    why = "this machine has no RAPL counter and no NVIDIA GPU"
    cells = [cell("plain", None, reason=why), cell("ngram", None, reason=why)]
    assert energy_lines(cells) == [f"Joules per token not measured, because {why}."]


def test_where_some_are_missing_their_number_is_told() -> None:
    cells = [cell("plain", 812.0), cell("ngram", None, reason="GPU boards: the counter was reset")]
    assert energy_lines(cells)[1:] == [
        "Joules per token not measured in 1 of 2 cells, because GPU boards: the counter was reset."
    ]


def test_cells_of_an_older_measures_file_are_said_to_be_older() -> None:
    assert energy_lines([{"arm": "plain"}]) == [
        "Joules per token not measured, because the run was recorded before energy was."
    ]


def test_a_single_load_has_its_joules_or_the_reason_in_one_line() -> None:
    energy = cell("plain", 812.4, note="every GPU is counted")["energy"]
    assert energy_line(energy) == (
        "812 joules per 1k output tokens of the GPU boards and CPU packages alone (every GPU is counted)"
    )
    missing = cell("plain", None, reason="no counter can be read")["energy"]
    assert energy_line(missing) == "joules per token not measured, because no counter can be read"


def test_no_cells_no_line() -> None:
    assert energy_lines([]) == []

import json
from pathlib import Path

import pytest

from accounting.errors import MachineError, RunError
from workbench.line_journal import Row, opened

HEADER = {"of": "this"}


def test_what_a_kill_cut_off_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rows.jsonl"
    with opened(path, HEADER) as journal:
        journal.add({"n": 1})
        journal.add({"n": 2, "half a surrogate": "\ud800"})
    with path.open("ab") as file:
        file.write(b'{"n": 3, "cu')
    with opened(path, HEADER) as journal:
        assert [row["n"] for row in journal.rows] == [1, 2]
        journal.add({"n": 4})
    with opened(path, HEADER) as journal:
        assert [row["n"] for row in journal.rows] == [1, 2, 4]


def test_a_damaged_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"of": "this"}\n{"n": 1}\n\xff\xfe not text\n[2]\n{"n": 3}\n')
    with opened(path, HEADER) as journal:
        assert journal.rows == [{"n": 1}, {"n": 3}]


@pytest.mark.parametrize(("content", "told"), [('{"of": "other"}\n{"n": 1}\n', {"of": "other"}), ("cut", {})])
def test_another_header_is_shown_to_who_asks_and_may_be_refused(
    tmp_path: Path, content: str, told: Row
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    seen: list[Row] = []

    def refuse(header: Row) -> None:
        seen.append(header)
        raise RunError("other")

    with pytest.raises(RunError), opened(path, HEADER, check_other=refuse):
        pass
    assert (seen, path.read_text()) == ([told], content), "nothing is lost by a refusal"
    with opened(path, HEADER) as journal:
        assert journal.rows == []


def test_anew_forgets_and_asks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"of": "other"}\n{"n": 1}\n')

    def refuse(_header: Row) -> None:
        raise AssertionError

    with opened(path, HEADER, anew=True, check_other=refuse) as journal:
        assert journal.rows == []
    assert [json.loads(line) for line in path.read_text().splitlines()] == [HEADER]


def test_one_writer_and_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with (
        opened(path, HEADER),
        pytest.raises(RunError, match="another kilotoken process"),
        opened(path, HEADER),
    ):
        pass
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(MachineError, match="cannot be written") as raised,
        opened(tmp_path / "file" / "rows.jsonl", HEADER, hint="Go elsewhere."),
    ):
        pass
    assert raised.value.hint == "Go elsewhere."

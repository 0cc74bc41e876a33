import json
from pathlib import Path

import pytest

from accounting.errors import ConfigError, MachineError
from drafts.replay.traces import read_traces

GOOD = {"id": "a", "label": "copy", "prompt_token_ids": [1, 2], "output_token_ids": [3]}


def written(folder: Path, *lines: object) -> Path:
    path = folder / "traces.jsonl"
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines) + "\n")
    return path


def test_good_lines_come_in_order(tmp_path: Path) -> None:
    traces = read_traces(written(tmp_path, GOOD, "", GOOD | {"id": "b", "finish_reason": "stop"}))
    assert [t.id for t in traces] == ["a", "b"]
    assert traces[1].finish_reason == "stop"


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("{broken", "line 2 is no trace"),
        (GOOD | {"id": "b", "output_token_ids": []}, "line 2 is no trace"),
        (GOOD | {"id": "b", "output_token_ids": [-1]}, "line 2 is no trace"),
        (GOOD | {"id": "b", "tokens": 3}, "line 2 is no trace"),
        ({"id": "b"}, "line 2 is no trace"),
        (GOOD, "stands in line 1 already"),
        (GOOD | {"id": "b", "model": "other"}, "line 2: model 'other'"),
    ],
)
def test_a_wrong_line_is_named_by_its_number(tmp_path: Path, second: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_traces(written(tmp_path, GOOD, second))


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no trace"):
        read_traces(written(tmp_path, ""))
    with pytest.raises(MachineError, match="cannot be read"):
        read_traces(tmp_path / "absent.jsonl")

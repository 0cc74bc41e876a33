import json
from pathlib import Path

import pytest

from accounting.errors import ConfigError
from workbench.quality.items import Judging, chosen_items
from workbench.quality.scoring import is_right
from workbench.quality.sets import load_set


def test_gsm8k_is_whole_and_its_own_solutions_are_right() -> None:
    found = load_set("gsm8k", base_dir=Path())
    assert len(found.items) == 1319
    assert not found.runs_code
    assert all(is_right(item, item.reference) for item in found.items)
    assert not any("<<" in item.reference for item in found.items)
    assert found.items[0].expected == "18"


def test_humaneval_is_whole_and_says_that_it_runs_code() -> None:
    found = load_set("humaneval", base_dir=Path())
    assert len(found.items) == 164
    assert found.runs_code
    assert all(item.judging is Judging.CODE and item.code_test is not None for item in found.items)
    first = found.items[0]
    assert first.code_test is not None
    assert first.code_test.entry_point in first.prompt


def test_the_seed_chooses_and_more_items_contain_fewer() -> None:
    found = load_set("gsm8k", base_dir=Path())
    few, many = chosen_items(found, 10, 1), chosen_items(found, 50, 1)
    assert many[:10] == few
    assert len({item.item_id for item in many}) == 50
    assert chosen_items(found, 10, 1) == few
    assert chosen_items(found, 10, 2) != few


@pytest.mark.parametrize("n", [0, 165, -3])
def test_more_items_than_there_are_is_an_error_that_says_how_many(n: int) -> None:
    with pytest.raises(ConfigError, match="humaneval has 164 items"):
        chosen_items(load_set("humaneval", base_dir=Path()), n, 1)


def written(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "own set.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"prompt": "Capital of France?", "answer": "Paris", "match": "contains"},
        "",
        {
            "messages": [{"role": "system", "content": "Short."}, {"role": "user", "content": "2+2?"}],
            "answer": "4",
        },
    )
    found = load_set(path.name, base_dir=tmp_path)
    first, second = found.items
    assert found.key.startswith("own-set@")
    assert (first.messages, first.judging) == ((("user", "Capital of France?"),), Judging.CONTAINS)
    assert (second.item_id, second.judging) == ("line-00003", Judging.EXACT)
    path.write_text(path.read_text().replace("4", "5"))
    assert load_set(path.name, base_dir=tmp_path).key != found.key, "another content is another set"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"prompt": "a"}, "'answer' is missing"),
        ({"answer": "a"}, "exactly one of prompt and messages"),
        ({"prompt": "a", "messages": [{"role": "user", "content": "a"}], "answer": "b"}, "exactly one"),
        ({"prompt": "a", "answer": "b", "mtach": "exact"}, "mtach.*match"),
        ({"prompt": "a", "answer": "b", "match": "like"}, "match"),
        ({"prompt": "a", "answer": ""}, "answer"),
        ({"prompt": "a", "answer": 4}, "answer"),
        ({"prompt": "a", "answer": "b", "max_tokens": 0}, "max_tokens"),
        ({"messages": [{"role": "robot", "content": "a"}], "answer": "b"}, "role"),
        ('{"prompt": "a", "answer": "b"', "JSON"),
        ('{"prompt": "a", "prompt": "b", "answer": "c"}', "twice"),
        ('{"prompt": "\\ud800", "answer": "c"}', "JSON"),
        ("[1]", "object"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: object, said: str) -> None:
    path = written(tmp_path, {"prompt": "fine", "answer": "fine"}, line)
    with pytest.raises(ConfigError, match=f"line 2.*{said}"):
        load_set(str(path), base_dir=tmp_path)


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gsm8k, humaneval"):
        load_set("gsm9k", base_dir=tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_set("gone.jsonl", base_dir=tmp_path)
    with pytest.raises(ConfigError, match="no item"):
        load_set(str(written(tmp_path, "")), base_dir=tmp_path)

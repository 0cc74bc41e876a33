import json
import time
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from accounting.errors import ConfigError, ModelError
from drafts.replay.ngram import NgramWindow
from workbench.cli import app
from workbench.replay_command import draft_lengths, replay_table, replayed
from workbench.replay_draft import DraftModel


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Three copied answers, and two in which nothing repeats."""
    lines = [
        {"id": f"c{i}", "label": "copy", "prompt_token_ids": [*range(50)], "output_token_ids": [*range(50)]}
        for i in range(3)
    ]
    new = [*range(100, 140)]
    lines += [
        {"id": f"n{i}", "label": "new", "prompt_token_ids": [1, 2], "output_token_ids": new} for i in range(2)
    ]
    path = tmp_path / "traces.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_classes_stand_apart_and_together(traces: Path) -> None:
    document = replayed(traces, NgramWindow(2, 4), [3], None)
    whole, copied, new = document["rows"]
    assert [row["label"] for row in document["rows"]] == [None, "copy", "new"]
    assert copied["acceptance_length"]["value"] == 4.0
    assert copied["tokens_per_step"]["value"] == pytest.approx(49 / 13)
    assert new["acceptance_length"]["value"] is None
    assert new["tokens_per_step"]["value"] == 1.0
    assert whole["steps"] == copied["steps"] + new["steps"]


def test_the_table_says_why_a_number_is_missing(traces: Path) -> None:
    console = Console(width=150, record=True)
    console.print(replay_table(replayed(traces, NgramWindow(2, 4), [1, 3], None)))
    shown = console.export_text()
    assert "4.00 (4.00 to 4.00)" in shown
    assert "not measured, because nothing was drafted" in shown


def test_the_command_prints_one_document(traces: Path) -> None:
    ran = CliRunner().invoke(app, ["replay", str(traces), "--k", "1..3", "--json"])
    assert ran.exit_code == 0, ran.output
    assert [row["k"] for row in json.loads(ran.stdout)["rows"]] == [1, 2, 3] * 3


@pytest.mark.parametrize("wrong", ["", "0", "3..1", "1..200", "two", "1,,2"])
def test_a_wrong_k_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="no draft length"):
        draft_lengths(wrong)


def test_right_ks_and_a_wrong_window(traces: Path) -> None:
    assert draft_lengths("1..3") == [1, 2, 3]
    assert draft_lengths("4,2") == [2, 4]
    with pytest.raises(ConfigError, match="exceeds --prompt-lookup-max"):
        replayed(traces, NgramWindow(5, 4), [1], None)


def test_a_hundred_thousand_tokens_take_no_minute(tmp_path: Path) -> None:
    """The claim is a million a minute; ten times as slow would be a search anew at each step."""
    lines = [
        {"id": str(i), "label": "x", "prompt_token_ids": [*range(500)], "output_token_ids": [i, *range(499)]}
        for i in range(100)
    ]
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    began = time.process_time()
    replayed(path, NgramWindow(2, 4), [4], None)
    assert time.process_time() - began < 6.0


@pytest.mark.parametrize(
    "options", [["--method", "draft"], ["--draft", "d"], ["--method", "draft", "--draft", "d"]]
)
def test_a_draft_and_its_target_go_together(traces: Path, options: list[str]) -> None:
    ran = CliRunner().invoke(app, ["replay", str(traces), *options])
    assert isinstance(ran.exception, ConfigError)
    assert "--method draft goes with --draft and --target" in ran.exception.message


def test_a_draft_model_is_replayed_by_a_child_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="comes with the engine")
    pytest.importorskip("transformers", reason="comes with the engine")
    from tests.drafts.tiny_llama import tiny_llama, write_answers

    target = tiny_llama()
    answers = write_answers(tmp_path / "t.jsonl", target, count=3)
    for name in ("target", "draft"):
        target.save_pretrained(tmp_path / name)
        (tmp_path / name / "tokenizer.json").write_text("{}")
    both = DraftModel(str(tmp_path / "draft"), str(tmp_path / "target"), dtype="float32")
    document = replayed(answers, both, [2, 4], None)
    lengths = {
        row["k"]: row["acceptance_length"]["value"] for row in document["rows"] if row["label"] is None
    }
    assert document["method"] == "draft"
    # A target drafts for itself without a miss; only drafts that reach over the answers' ends are not known to be right.
    assert 2.8 < lengths[2] <= 3.0
    assert 4.2 < lengths[4] <= 5.0
    broken = DraftModel(str(tmp_path / "draft"), str(tmp_path / "draft"), dtype="float99")
    with pytest.raises(ModelError, match="could not be replayed"):
        replayed(answers, broken, [2], None)

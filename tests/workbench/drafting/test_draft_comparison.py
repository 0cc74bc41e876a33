"""The experiment that a draft is compared by is one that `kilotoken run` takes, with prompts that training left alone."""

from datetime import date
from pathlib import Path

import pytest

from accounting.prices import Price
from workbench.drafting.comparison import comparable, write_comparison_experiment
from workbench.experiment import load_experiment


@pytest.mark.parametrize(("kind", "method"), [("distil", "draft_model"), ("eagle3", "eagle3")])
def test_the_file_is_an_experiment(tmp_path: Path, kind: str, method: str) -> None:
    path = tmp_path / "compare.yaml"
    write_comparison_experiment(
        path, target="tinyllama-1.1b-chat", kind=kind, draft=tmp_path / "draft", k=4, workloads=("chat", "story"),
        price=Price(0.5, "a list", date(2026, 1, 2)), seed=3, max_model_len=1024,
    )  # fmt: skip
    experiment = load_experiment(path)
    configs = experiment.arm_configs(origin="x")
    assert experiment.baseline_arm == "alone"
    assert configs["draft"].speculation.method == method  # type: ignore[union-attr]
    assert experiment.price.usd_per_hour == 0.5
    assert experiment.losslessness.asked


def test_without_a_price_the_file_says_that_dollars_mean_nothing(tmp_path: Path) -> None:
    path = tmp_path / "compare.yaml"
    write_comparison_experiment(
        path,
        target="stories-15m",
        kind="distil",
        draft=tmp_path,
        k=2,
        workloads=("chat",),
        price=None,
        seed=1,
        max_model_len=256,
    )
    assert "no price was given" in load_experiment(path).price.source


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "target").mkdir()
    (tmp_path / "out").mkdir()
    write_comparison_experiment(
        Path("out/compare.yaml"), target="./target", kind="distil", draft=tmp_path, k=2,
        workloads=("chat*0.5+mine.jsonl*0.5",), price=None, seed=1, max_model_len=256,
    )  # fmt: skip
    experiment = load_experiment(Path("out/compare.yaml"))
    assert experiment.server["model"]["name"] == str(tmp_path / "target")
    assert str(tmp_path / "mine.jsonl") in experiment.workloads[0]


def test_a_file_without_marks_is_spent(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text("".join(f'{{"prompt": "Question number {n}?"}}\n' for n in range(40)))
    assert comparable(("chat", str(mine)), seed=1) == ("chat",)
    marks = ["train", "held_out", "measured"]
    lines = [f'{{"prompt": "Question number {n}?", "split": "{marks[n % 3]}"}}\n' for n in range(30)]
    mine.write_text("".join(lines))
    assert comparable((str(mine),), seed=1) == (), "nothing to warm up with"
    mine.write_text("".join([*lines, '{"prompt": "Warm?", "split": "warm_up"}\n']))
    assert comparable((str(mine),), seed=1) == (str(mine),)

"""`kilotoken quality` as a user calls it, on fake servers started by it; then beside the arms of a run."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]

EXPERIMENT = """
name: numerics
server: {model: fake-model, engine: {device: fake}}
arms:
  plain: {}
  low: {model: {name: fake-low, dtype: bfloat16}}
workloads: [chat]
loads: {streams: [1]}
output: {max_tokens: 16}
window: {minimum_s: 1, warm_up_s: 0.2}
repeats: 1
price: {usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}
"""


@pytest.fixture
def quality(kilotoken: Command, tmp_path: Path) -> Command:
    """Call the command with a cache of its own; experiment.yaml and harbours.jsonl lie beside it."""
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)
    (tmp_path / "server.yaml").write_text("model: fake-model\nengine: {device: fake}\n")
    lines = [{"prompt": f"tell me of harbour {n}", "answer": "the", "match": "contains"} for n in range(12)]
    (tmp_path / "harbours.jsonl").write_text("\n".join(map(json.dumps, lines)))

    def call(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return kilotoken(*arguments, KILOTOKEN_CACHE=str(tmp_path / "cache"))

    return call


def document(done: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    loaded: list[dict[str, Any]] = json.loads(done.stdout)
    return loaded


def test_a_score_a_perplexity_and_a_file(quality: Command) -> None:
    (found,) = document(quality("quality", "server.yaml", "--set", "harbours.jsonl", "--n", 8, "--json"))
    assert found["items"] == 8
    assert found["perplexity"]["items"] == 8
    assert json.loads(Path(found["file"]).read_text())["score"] == found["score"]
    shown = quality("quality", "server.yaml", "--set", "harbours.jsonl", "--n", 8)
    assert "measured already" in shown.stderr
    assert f"{found['perplexity']['value']:.4f}" in shown.stdout
    assert f"{found['right']} of 8" in shown.stdout


def test_every_numerics_of_an_experiment_with_the_paired_difference(quality: Command) -> None:
    plain, low = document(quality("quality", "experiment.yaml", "--set", "gsm8k", "--n", 6, "--json"))
    assert (plain["label"], low["label"]) == ("plain", "low")
    ratio = low["against"]["perplexity"]["ratio"]
    assert ratio == pytest.approx(low["perplexity"]["value"] / plain["perplexity"]["value"])
    assert ratio != 1
    table = quality("quality", "experiment.yaml", "--set", "gsm8k", "--n", 6).stdout
    assert f"{ratio:.5f}" in table
    assert max(map(len, table.splitlines())) <= 150


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--set", "gsm9k"], 2, "gsm8k, humaneval"),
        (["--set", "humaneval", "--n", "5"], 2, "--allow-code-execution"),
        (["--set", "harbours.jsonl"], 2, "has 12 items"),
        (["--n", "0"], 2, "--n"),
        (["--arm", "plain"], 2, "no arms"),
        (["--set", "harbours.jsonl", "--n", "8", "--against", "gone.json"], 2, "cannot be read"),
    ],
)
def test_mistakes_are_one_sentence(quality: Command, arguments: list[str], code: int, said: str) -> None:
    done = quality("quality", "server.yaml", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(
    quality: Command, started: Callable[..., "subprocess.Popen[str]"], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("KILOTOKEN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "server.yaml").write_text(
        "model: fake-model\nengine: {device: fake, environment: {KILOTOKEN_FAKE_ARGS: '--tpot-s 0.02'}}\n"
    )
    arguments = ("quality", "server.yaml", "--set", "gsm8k", "--n", 40, "--concurrency", 2)
    child = started(*arguments)

    def lines() -> int:
        return sum(len(path.read_text().splitlines()) - 1 for path in tmp_path.rglob("*.items.jsonl"))

    deadline = time.monotonic() + 60
    while lines() < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGINT)
    said, _ = child.communicate(timeout=30)
    assert child.returncode == 130, said
    kept = lines()
    assert 5 <= kept < 40
    assert not list(tmp_path.rglob("gsm8k-40-1.json"))
    (found,) = document(quality(*arguments, "--json"))
    assert found["items_from_before"] == kept
    assert found["items"] == 40


def test_a_run_says_not_measured_with_the_command_and_after_it_the_figures(
    quality: Command, tmp_path: Path
) -> None:
    done = quality("run", "experiment.yaml", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "quality not measured" in done.stdout
    assert "quality not measured" in (tmp_path / "out" / "report.html").read_text()
    command = re.search(r"kilotoken (quality out --arm low) --set gsm8k --n 100", done.stdout)
    assert command, done.stdout
    for arm in ("low", "plain"):
        assert quality("quality", "out", "--arm", arm, "--set", "gsm8k", "--n", 6).returncode == 0
    assert quality("report", "out").returncode == 0
    shown = json.loads(quality("show", "out", "--json").stdout)["quality"]
    baseline, low = shown
    assert (baseline["arm"], low["arm"], low["differs_in"]) == ("plain", "low", ["model", "model.dtype"])
    (result,) = low["results"]
    assert result["against"]["perplexity"]["items"] == 6
    page = (tmp_path / "out" / "report.html").read_text()
    assert "quality not measured" not in page
    assert f"{result['against']['perplexity']['ratio']:.5f}" in page
    assert f"{result['against']['perplexity']['ratio']:.4f}" in quality("show", "out").stdout
    assert json.loads((tmp_path / "out" / "quality" / "low.json").read_text())["results"]

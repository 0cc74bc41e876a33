"""Losslessness as a stage of a run: an honest arm passes, a lossy one is named, an interrupted life is asked again."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import all_gone, tree_of, wait_for

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]

EXPERIMENT = """
name: answers
server:
  model: fake-model
  engine: {device: fake, extra_args: [--ttft-s, "0.002", --tpot-s, "0.001"]}
arms:
  plain: {}
  honest: {speculation: {method: ngram, num_speculative_tokens: 3}}
  lossy:
    speculation: {method: ngram, num_speculative_tokens: 3}
    engine: {extra_args: [--ttft-s, "0.002", --tpot-s, "0.001", --faults, '[{"kind": "wrong_token", "one_in": 500}]']}
  other: {speculation: {method: ngram, num_speculative_tokens: 3}, kv_cache: {dtype: fp8}}
workloads: [chat]
loads: {streams: [2]}
output: {max_tokens: 24}
window: {minimum_s: 1, warm_up_s: 0.3}
repeats: 1
losslessness: {float32: true}
price: {usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}
"""
Row = dict[str, Any]


def statuses(run: Path) -> dict[str, str]:
    states = {b.name: json.loads((b / "block.json").read_text())["status"] for b in run.glob("blocks/*")}
    return dict(sorted(states.items()))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of four arms, three of which speculate."""
    directory = tmp_path_factory.mktemp("answers")
    (directory / "answers.yaml").write_text(EXPERIMENT)
    command = [str(Path(sys.executable).with_name("kilotoken")), "run", "answers.yaml", "--out", "out"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "go into greedy texts that show whether answers changed" in " ".join(done.stdout.split())
    assert "greedy texts for losslessness, again pass" in done.stdout
    return directory / "out"


@pytest.fixture
def shown(run: Path, kilotoken: Command) -> Row:
    """What `show --json` prints."""
    document: Row = json.loads(kilotoken("show", run, "--json").stdout)
    return document


def test_the_honest_arm_is_lossless_and_the_lossy_one_is_found(shown: Row) -> None:
    rows = {(row["arm"], row["dtype"]): row for row in shown["losslessness"]}
    for dtype in ("as served", "float32"):
        honest, lossy = rows["honest", dtype], rows["lossy", dtype]
        assert (honest["word"], honest["agreeing"], honest["texts"]) == ("lossless", 100, 100)
        assert honest["power"] > 0.99
        assert lossy["word"] == "lossy"
        assert 1 <= lossy["unexcused"] <= 30
    assert rows.keys() == {(arm, d) for arm in ("honest", "lossy") for d in ("as served", "float32")} | {
        ("other", "as served")
    }


def test_an_arm_of_other_numerics_is_not_asked_and_says_why(run: Path, shown: Row) -> None:
    (row,) = [row for row in shown["losslessness"] if row["arm"] == "other"]
    assert (row["word"], row["texts"]) == ("not asked", 0)
    assert row["reason"] == "its numerics differ from the baseline's (kv_cache.dtype)"
    assert not (run / "blocks" / "r1-other.1" / "losslessness").exists()


def test_float32_has_lives_of_its_own_after_all_blocks(run: Path) -> None:
    assert set(statuses(run)) == {f"r1-{arm}.1" for arm in ("plain", "honest", "lossy", "other")} | {
        f"lossless-{arm}.1" for arm in ("plain", "honest", "lossy")
    }
    assert set(statuses(run).values()) == {"finished"}
    argv = json.loads((run / "blocks" / "lossless-honest.1" / "server" / "command.json").read_text())["argv"]
    assert argv[argv.index("--dtype") + 1] == "float32"
    measured = json.loads((run / "measures.json").read_text())["cells"]
    assert {cell["block"].partition("-")[0] for cell in measured} == {"r1"}


def test_the_answers_lie_in_the_attempt_as_text(run: Path) -> None:
    plain = run / "blocks" / "r1-plain.1" / "losslessness"
    assert sorted(path.name for path in plain.iterdir()) == ["again.jsonl", "first.jsonl"]
    facts, *lines = map(json.loads, (plain / "first.jsonl").read_text().splitlines())
    assert (facts["arm"], facts["speculation"], facts["reason"]) == ("plain", "off", "")
    assert len(lines) == 100
    assert all(line["text"] and len(line["token_ids"]) == len(line["others"]) == 32 for line in lines)


def test_greedy_texts_are_in_no_measured_window(shown: Row) -> None:
    """They come after the last page of counters: what was measured is reconciled to the token all the same."""
    assert [cell["reconciled"] for cell in shown["cells"]] == [True] * 4


def test_the_lossy_arm_is_named_in_the_headline_and_the_table(run: Path, kilotoken: Command) -> None:
    table = kilotoken("show", run).stdout
    said = " ".join(table.split())
    assert "lossy is lossy (as served and float32): its answers are not the baseline's." in said
    assert "other, as served: not asked, because its numerics differ" in said
    assert max(map(len, table.splitlines())) <= 150
    assert "lossy is lossy" in (run / "report.html").read_text()


def test_the_judgement_is_made_again_from_files(run: Path, kilotoken: Command) -> None:
    files = sorted((run / "losslessness").iterdir())
    assert [file.name for file in files] == ["honest.json", "lossy.json", "other.json"]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    assert kilotoken("report", run).returncode == 0
    assert [file.read_bytes() for file in files] == before


TWO_ARMS = EXPERIMENT[: EXPERIMENT.index("  lossy:")] + EXPERIMENT[EXPERIMENT.index("workloads:") :]


def test_a_life_that_was_cut_off_is_asked_again_whole(
    tmp_path: Path, started: Start, kilotoken: Command
) -> None:
    """First `kill -9` while the baseline's texts are asked for, then Ctrl-C in its float32 life."""
    (tmp_path / "answers.yaml").write_text(TWO_ARMS.replace('"0.001"', '"0.003"'))
    out = tmp_path / "out"
    workbench = started("run", "answers.yaml", "--out", out)
    (cell,) = wait_for(lambda: list(out.glob("blocks/*/cells/*/cell.json")), 40)
    time.sleep(0.4)  # the first pass takes 1.3 s
    workbench.send_signal(signal.SIGKILL)
    workbench.wait()
    cut_off = cell.parents[2]
    assert statuses(out) == {cut_off.name: "running"}
    assert not (cut_off / "losslessness").exists(), "a pass is recorded whole or not at all"
    again = started("run", "--resume", out)
    wait_for(lambda: list(out.glob("blocks/lossless-plain.1/server/command.json")), 60)
    tree = tree_of(again.pid)
    again.send_signal(signal.SIGINT)
    output, _ = again.communicate(timeout=40)
    assert again.returncode == 130, output
    assert f"kilotoken run --resume {out}" in output
    wait_for(lambda: all_gone(tree), 20)
    assert statuses(out)["lossless-plain.1"] == statuses(out)[cut_off.name] == "interrupted"
    assert (cut_off.with_suffix(".2") / "losslessness" / "first.jsonl").is_file()
    done = kilotoken("run", "--resume", out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kept r1-plain: finished earlier" in done.stdout
    assert statuses(out)["lossless-plain.2"] == statuses(out)["lossless-honest.1"] == "finished"
    document = json.loads(kilotoken("show", out, "--json").stdout)
    assert document["complete"]
    assert [(row["word"], row["texts"]) for row in document["losslessness"]] == [("lossless", 100)] * 2


def test_switched_off_nothing_is_asked_and_the_run_says_so(tmp_path: Path, kilotoken: Command) -> None:
    (tmp_path / "answers.yaml").write_text(TWO_ARMS.replace("{float32: true}", "off"))
    done = kilotoken("run", "answers.yaml", "--out", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(statuses(tmp_path / "out")) == {"r1-plain.1", "r1-honest.1"}
    assert not list((tmp_path / "out").glob("blocks/*/losslessness"))
    assert "not asked, because the experiment says `losslessness: off`" in done.stdout


def test_dry_run_and_validate_count_the_float32_lives(tmp_path: Path, kilotoken: Command) -> None:
    (tmp_path / "answers.yaml").write_text(EXPERIMENT)
    shown = kilotoken("run", "answers.yaml", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "lossless-plain" in shown.stdout
    assert "go into greedy texts" in " ".join(shown.stdout.split())
    checked = kilotoken("validate", "answers.yaml")
    assert "greedy texts in float32 take 3 more server lives" in " ".join(checked.stdout.split())

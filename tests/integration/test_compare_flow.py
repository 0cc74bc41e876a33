"""From a whole run to `compare`, its exit status and `runs`: an arm that was made slower is called dearer."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from accounting.verdicts import CellEvidence, CellVerdict, judge
from workbench import measures
from workbench.cli import app

EXPERIMENT = """
name: planted
server: {model: fake-model, engine: {device: fake}}
arms:
  plain: {engine: {extra_args: [--tpot-s, "0.004"]}}
  slow: {engine: {extra_args: [--tpot-s, "0.008"]}}
workloads: [chat]
loads: {streams: [2]}
output: {max_tokens: 24}
window: {minimum_s: 2, warm_up_s: 0.3}
repeats: 4
price: {usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}
"""


def kilotoken(directory: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("kilotoken")), *map(str, arguments)]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=170, check=False)


def judge_content(evidence: CellEvidence) -> CellVerdict:
    """A verdict without what a busy machine does to the time of a test, and without the 25 s that eight windows would take."""
    calm = replace(evidence, client=(), client_tails=(), noise="", drift=(), p95_reason="")
    return judge(calm, minimum_window_s=1.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of four pairs, evaluated by those rules."""
    directory = tmp_path_factory.mktemp("planted")
    (directory / "planted.yaml").write_text(EXPERIMENT)
    done = kilotoken(directory, "run", "planted.yaml", "--out", "runs/planted")
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "judge", judge_content)
        reported = CliRunner().invoke(app, ["report", str(directory / "runs/planted")])
    assert reported.exit_code == 0, reported.output
    return directory / "runs" / "planted"


pytestmark = pytest.mark.timeout(200)


def row(document: dict[str, Any], metric: str) -> dict[str, Any]:
    (found,) = [r for r in document["comparisons"] if r["metric"] == metric]
    return dict(found)


def test_the_planted_factor_is_found_and_called_dearer(run: Path) -> None:
    done = kilotoken(run.parent, "compare", run, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    cost = row(document, "cost")
    assert (cost["arm"], cost["against"], cost["word"]) == ("slow", "plain", "dearer"), cost
    assert 1.4 < cost["ratio"] < 2.4, "a step of 8 ms against one of 4, and the same time to the first token"
    assert cost["interval"][0] > 1
    assert not cost["margin"]["shown"]
    assert row(document, "tokens_per_s")["word"] == "less"
    assert row(document, "tokens_per_s")["ratio"] == pytest.approx(1 / cost["ratio"])
    assert row(document, "tpot_p50")["word"] == "slower"
    assert document["same_arms"] == []


def test_the_table_says_the_same(run: Path) -> None:
    done = kilotoken(run.parent, "compare", run)
    assert done.returncode == 0, done.stderr
    assert "dearer" in done.stdout
    assert "slow" in done.stdout


def test_ci_fails_where_no_dearer_is_not_shown_and_only_there(run: Path) -> None:
    dearer = kilotoken(run.parent, "compare", run, "--fail-if", "dearer", "--json")
    assert dearer.returncode == 3
    assert row(json.loads(dearer.stdout), "cost")["word"] == "dearer", "the document is printed all the same"
    assert "not shown within the margin: slow on chat" in dearer.stderr
    cheaper = kilotoken(run.parent, "compare", run, "plain", "slow", "--fail-if", "dearer")
    assert cheaper.returncode == 0, cheaper.stderr


def test_runs_lists_it_with_its_best_arm(run: Path) -> None:
    listed = kilotoken(run.parent.parent, "runs", "--json")
    assert listed.returncode == 0, listed.stderr
    (found,) = json.loads(listed.stdout)
    assert (found["experiment"], found["status"], found["model"]) == ("planted", "finished", "fake-model")
    assert (found["cells_valid"], found["cells"], found["best_arm"]) == (8, 8, "plain")
    table = kilotoken(run.parent.parent, "runs")
    assert "planted" in table.stdout
    assert "8/8" in table.stdout

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from accounting.errors import MachineError
from workbench.cli import app
from workbench.experiment import parse_experiment
from workbench.plan import make_plan
from workbench.run_directory import RunDirectory, write_json
from workbench.run_index import INDEX_FILE, indexed_runs

TEXT = """
name: small
server: {model: fake-model, engine: {device: fake}}
arms: {plain: {}, other: {batching: {max_num_seqs: 7}}}
workloads: [chat]
loads: {streams: [4]}
repeats: 1
price: {usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}
"""
HARDWARE = {
    "cpu": "Test",
    "logical_cpus": 2,
    "usable_cpus": 2,
    "memory_bytes": 1 << 30,
    "kernel": "6",
    "gpus": [],
}


def make_run(root: Path, name: str, *, started: str = "2026-11-22T10:00:00+00:00") -> RunDirectory:
    plan = make_plan(parse_experiment(TEXT, origin="test"))
    run = RunDirectory.create(root / name, TEXT, plan, {"started_at": started, "hardware": HARDWARE})
    for block in plan.blocks:
        run.next_attempt(block).write_status("finished")
    cells = [
        {"arm": "plain", "verdict": {"throughput": "valid"}},
        {"arm": "other", "verdict": {"throughput": "drifting"}},
    ]
    costs: list[dict[str, Any]] = [{"usd_per_1k_output_tokens": 0.02}, {"usd_per_1k_output_tokens": 0.01}]
    write_json(run.path / "measures.json", {"cells": cells})
    write_json(run.path / "cost.json", {"cells": costs})
    return run


def test_a_run_is_a_row_and_only_a_valid_cell_is_best(tmp_path: Path) -> None:
    make_run(tmp_path, "one")
    (row,) = indexed_runs(tmp_path)
    assert (row["experiment"], row["model"], row["status"]) == ("small", "fake-model", "finished")
    assert (row["cells_valid"], row["cells"]) == (1, 2)
    assert (row["best_usd_per_1k_output_tokens"], row["best_arm"]) == (0.02, "plain")
    with duckdb.connect(str(tmp_path / INDEX_FILE), read_only=True) as connection:
        assert connection.execute("SELECT arms FROM runs").fetchall() == [(["plain", "other"],)]


@pytest.mark.parametrize(
    ("file", "content"),
    [("plan.json", "{"), ("experiment.yaml", "name: ["), ("provenance.json", "{}"), ("cost.json", "[]"), ("measures.json", "x")],
)  # fmt: skip
def test_a_damaged_run_is_listed_with_the_reason(tmp_path: Path, file: str, content: str) -> None:
    make_run(tmp_path, "good")
    (make_run(tmp_path, "bad").path / file).write_text(content)
    rows = {Path(row["run"]).name: row for row in indexed_runs(tmp_path)}
    assert rows["good"]["status"] == "finished"
    assert rows["bad"]["status"] == "corrupt"
    assert rows["bad"]["reason"]


def test_runs_are_in_order_of_date_and_other_directories_are_not_listed(tmp_path: Path) -> None:
    make_run(tmp_path, "a", started="2026-11-23T10:00:00+00:00")
    make_run(tmp_path, "b")
    (tmp_path / "notes").mkdir()
    assert [Path(row["run"]).name for row in indexed_runs(tmp_path)] == ["b", "a"]


def test_what_changed_is_read_again_and_a_damaged_index_is_made_again(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one")
    first = indexed_runs(tmp_path)
    assert indexed_runs(tmp_path) == first == indexed_runs(tmp_path, rebuild=True)
    plan = run.plan()
    run.attempts(plan.blocks[0])[0].write_status("failed", error="died")
    assert indexed_runs(tmp_path)[0]["status"] == "1 of 2 blocks missing"
    (tmp_path / INDEX_FILE).write_text("no database")
    assert indexed_runs(tmp_path)[0]["status"] == "1 of 2 blocks missing"


def test_a_run_that_was_not_evaluated_says_so(tmp_path: Path) -> None:
    (make_run(tmp_path, "one").path / "cost.json").unlink()
    (row,) = indexed_runs(tmp_path)
    assert row["status"] == "finished"
    assert "not evaluated" in row["reason"]


def test_where_the_index_cannot_be_kept_the_runs_are_listed_all_the_same(tmp_path: Path) -> None:
    make_run(tmp_path, "one")
    in_the_way = tmp_path / f"{INDEX_FILE}.partial"
    in_the_way.mkdir()
    (in_the_way / "something").touch()
    warnings: list[str] = []
    (row,) = indexed_runs(tmp_path, warn=warnings.append)
    assert row["status"] == "finished"
    assert INDEX_FILE in warnings[0]
    assert "the next call reads every run again" in warnings[0]
    done = CliRunner().invoke(app, ["runs", str(tmp_path), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)[0]["experiment"] == "small", "standard output is the document alone"
    assert "index is not kept" in done.stderr


def test_the_command_prints_both_forms(tmp_path: Path) -> None:
    make_run(tmp_path, "one")
    call = CliRunner().invoke
    assert call(app, ["runs", str(tmp_path), "--rebuild"]).exit_code == 0
    printed = call(app, ["runs", str(tmp_path), "--json"])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout)[0]["experiment"] == "small"
    with pytest.raises(MachineError):
        indexed_runs(tmp_path / "missing")

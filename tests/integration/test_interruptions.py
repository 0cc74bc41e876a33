"""Whatever happens in the middle, finished blocks stay, nothing is orphaned, and --resume goes on."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.fake_server import RunningFakeServer
from tests.integration.processes import all_gone, tree_of, wait_for

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


def statuses(run: Path) -> dict[str, str]:
    return {
        folder.name: json.loads((folder / "block.json").read_text())["status"]
        for folder in sorted((run / "blocks").iterdir())
        if (folder / "block.json").exists()
    }


def in_second_block(run: Path) -> bool:
    """The first block has finished and a cell of the second one is under load."""
    return len(list(run.glob("blocks/*/cells/*/load.json"))) == 2 and "finished" in statuses(run).values()


def finished_files(run: Path) -> dict[Path, int]:
    done = [name for name, status in statuses(run).items() if status == "finished"]
    return {f: f.stat().st_mtime_ns for name in done for f in (run / "blocks" / name).rglob("*.parquet")}


def resume_completes(kilotoken: Command, run: Path, kept: dict[Path, int]) -> None:
    done = kilotoken("run", "--resume", run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kept r1-" in done.stdout
    assert {f: f.stat().st_mtime_ns for f in kept} == kept, "a finished block was touched"
    assert (run / "report.html").exists()
    document = json.loads(kilotoken("show", run, "--json").stdout)
    assert document["complete"]
    assert [c["reconciled"] for c in document["cells"]] == [True, True]
    assert "Run more than once" in (run / "report.html").read_text()


def test_kill_9_of_the_workbench_leaves_no_orphan_and_resume_completes(
    small: Path, tmp_path: Path, started: Start, kilotoken: Command
) -> None:
    run = tmp_path / "out"
    workbench = started("run", small, "--out", run)
    wait_for(lambda: in_second_block(run), 40)
    tree = tree_of(workbench.pid)
    assert len(tree) >= 3, "supervisor, server, load generator"
    workbench.send_signal(signal.SIGKILL)
    workbench.wait()
    wait_for(lambda: all_gone(tree), 20)
    kept = finished_files(run)
    assert kept
    resume_completes(kilotoken, run, kept)
    assert sorted(statuses(run).values()) == ["finished", "finished", "interrupted"]


PAIRS = """
name: pairs
server: {model: fake-model, engine: {device: fake}}
arms: {plain: {}, slow: {engine: {extra_args: [--tpot-s, "0.01"]}}}
workloads: [chat]
loads: {streams: [2]}
output: {max_tokens: 16}
window: {minimum_s: 1.5, warm_up_s: 0.3}
repeats: 2
price: {usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}
"""


def the_first_server_loads(run: Path) -> bool:
    return bool(list(run.glob("blocks/*/server/server.log")))


def every_block_has_finished(run: Path) -> bool:
    """What is left is to evaluate them."""
    return list(statuses(run).values()).count("finished") == 4


@pytest.mark.timeout(200)
def test_a_comparison_killed_three_times_has_the_pairs_that_were_planned(
    tmp_path: Path, started: Start, kilotoken: Command
) -> None:
    (tmp_path / "pairs.yaml").write_text(PAIRS)
    run = tmp_path / "out"
    command: tuple[object, ...] = ("run", "pairs.yaml", "--out", run)
    plans, kept = set(), {}
    for moment in (the_first_server_loads, in_second_block, every_block_has_finished):
        workbench = started(*command)
        wait_for(lambda moment=moment: run.exists() and moment(run), 60)
        tree = tree_of(workbench.pid)
        workbench.send_signal(signal.SIGKILL)
        workbench.wait()
        wait_for(lambda tree=tree: all_gone(tree), 20)
        plans.add((run / "plan.json").read_bytes())
        kept |= finished_files(run)
        command = ("run", "--resume", run)
    assert not (run / "report.html").exists(), "killed before the end, every time"
    done = kilotoken(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(plans | {(run / "plan.json").read_bytes()}) == 1, "byte for byte the plan of the first start"
    assert {f: f.stat().st_mtime_ns for f in kept} == kept, "a finished block was touched"
    assert sorted(statuses(run).values()) == ["finished"] * 4 + ["interrupted"] * 2
    finished = [run / "blocks" / name for name, status in statuses(run).items() if status == "finished"]
    (cells,) = zip(*(folder.glob("cells/*/cell.json") for folder in finished), strict=True)
    begun = sorted(cells, key=lambda path: json.loads(path.read_text())["edges"]["idle_before"]["at_s"])
    planned = [block["block_id"] for block in json.loads((run / "plan.json").read_text())["blocks"]]
    assert [path.parents[2].name.rpartition(".")[0] for path in begun] == planned, "in the planned order"
    measured = json.loads((run / "measures.json").read_text())["cells"]
    pairs = {(cell["arm"], cell["repeat"]) for cell in measured}
    assert pairs == {(arm, repeat) for arm in ("plain", "slow") for repeat in (1, 2)}
    assert all(cell["reconciled"] for cell in measured)
    compared = kilotoken("compare", run, "--json")
    assert compared.returncode == 0, compared.stderr
    assert {row["arm"] for row in json.loads(compared.stdout)["comparisons"]} == {"slow"}


def test_kill_9_of_the_server_in_mid_cell_is_told_and_resume_completes(
    small: Path, tmp_path: Path, started: Start, kilotoken: Command
) -> None:
    run = tmp_path / "out"
    workbench = started("run", small, "--out", run)
    wait_for(lambda: in_second_block(run), 40)
    server = next(p for p in tree_of(workbench.pid) if "serving.fake_server" in p.cmdline() and "-P" not in p.cmdline()
                  and "serving.supervisor" not in p.cmdline())  # fmt: skip
    os.kill(server.pid, signal.SIGKILL)
    output, _ = workbench.communicate(timeout=40)
    assert workbench.returncode == 5
    assert "the server was killed by SIGKILL" in output
    assert "in mid-cell" in output
    assert f"kilotoken run --resume {run}" in output
    assert "Traceback" not in output
    resume_completes(kilotoken, run, finished_files(run))
    assert sorted(statuses(run).values()) == ["failed", "finished", "finished"]


def test_ctrl_c_keeps_finished_blocks_and_says_how_to_go_on(
    small: Path, tmp_path: Path, started: Start, kilotoken: Command
) -> None:
    run = tmp_path / "out"
    workbench = started("run", small, "--out", run)
    wait_for(lambda: in_second_block(run), 40)
    tree = tree_of(workbench.pid)
    workbench.send_signal(signal.SIGINT)
    output, _ = workbench.communicate(timeout=40)
    assert workbench.returncode == 130
    assert "Stopped:" in output
    assert f"kilotoken run --resume {run}" in output
    assert "Traceback" not in output
    assert all_gone(tree)
    resume_completes(kilotoken, run, finished_files(run))


def test_sigterm_while_the_first_server_loads_ends_everything(
    small: Path, tmp_path: Path, started: Start, kilotoken: Command
) -> None:
    run = tmp_path / "out"
    workbench = started("run", small, "--out", run)
    wait_for(lambda: list(run.glob("blocks/*/server/server.log")), 40)
    tree = tree_of(workbench.pid)
    workbench.terminate()
    output, _ = workbench.communicate(timeout=40)
    assert workbench.returncode == 130
    assert "Traceback" not in output
    wait_for(lambda: all_gone(tree), 20)
    reported = kilotoken("report", run)
    assert reported.returncode == 0, reported.stderr
    shown = kilotoken("show", run)
    assert "Not finished: r1-" in shown.stdout, "a run without a finished block says so"


ATTACHED = """
name: attached
arms: {{running: {{url: "{url}"}}}}
workloads: [chat]
loads: {{streams: [2]}}
window: {{minimum_s: 60, warm_up_s: 0.5}}
price: {{usd_per_hour: 1, source: declared for a test, as_of: 2026-11-22}}
"""


def test_the_load_ends_with_the_workbench_even_if_the_server_lives_on(tmp_path: Path, started: Start) -> None:
    """An attached server is not ours: it answers on, and the load child must notice by itself."""
    with RunningFakeServer() as server:
        (tmp_path / "attached.yaml").write_text(ATTACHED.format(url=server.url))
        workbench = started("run", "attached.yaml", "--out", "out")
        wait_for(lambda: (tmp_path / "out").glob("blocks/*/cells/*/load.json"), 40)
        wait_for(lambda: tree_of(workbench.pid), 40)
        time.sleep(2.0)
        tree = tree_of(workbench.pid)
        workbench.kill()
        workbench.wait()
        wait_for(lambda: all_gone(tree), 8)


def test_a_run_directory_has_one_writer(
    small: Path, tmp_path: Path, started: Start, kilotoken: Command
) -> None:
    run = tmp_path / "out"
    started("run", small, "--out", run)
    wait_for(lambda: list(run.glob("blocks/*")), 40)
    second = kilotoken("run", "--resume", run)
    assert second.returncode == 7
    assert "another kilotoken process is working" in second.stderr
    third = kilotoken("run", small, "--out", run)
    assert third.returncode == 7
    assert "already holds a run" in third.stderr


def test_a_server_that_turns_bad_in_mid_cell_costs_only_that_block(
    small: Path, tmp_path: Path, kilotoken: Command
) -> None:
    run = tmp_path / "out"
    faults = '--faults \'[{"kind": "die", "on_request": 8}]\''
    broken = kilotoken("run", small, "--out", run, KILOTOKEN_FAKE_ARGS=faults)
    assert broken.returncode == 5
    assert "the server exited with status 1 in mid-cell" in broken.stderr
    assert "Traceback" not in broken.stderr
    assert list(statuses(run).values()) == ["failed"]
    done = kilotoken("run", "--resume", run)
    assert done.returncode == 0, done.stderr

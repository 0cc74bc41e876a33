"""Natural lengths in an experiment: recorded once on the baseline, kept by every arm, never repeated, resumed."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.integration.processes import wait_for

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]

EXPERIMENT = """
name: natural
server:
  model: fake-model
  engine: {device: fake}
arms:
  fast: {speculation: {method: ngram, num_speculative_tokens: 7}}
  plain: {}
  liar: {engine: {extra_args: [--faults, '[{"kind": "wrong_usage", "extra_tokens": -3}]']}}
baseline: plain
workloads: [prompts.jsonl]
loads: {streams: [3]}
output: {length: natural, max_tokens: 60}
window: {minimum_s: 8, limit_s: 9, warm_up_s: 0.3}
repeats: 1
losslessness: off
price: {usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}
"""
PROMPTS = 80


def write_inputs(directory: Path, text: str = EXPERIMENT, prompts: int = PROMPTS) -> Path:
    """An experiment and its prompts: too few for its window, so that the fast arm comes to their end."""
    lines: list[dict[str, Any]] = [
        {"prompt": f"Say something about the number {n}.", "split": "measured"} for n in range(prompts)
    ]
    lines += [{"prompt": f"Warm up with {n}.", "split": "warm_up", "template": f"w{n}"} for n in range(20)]
    (directory / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (directory / "natural.yaml").write_text(text)
    return directory / "natural.yaml"


def measured(run: Path, block: str) -> list[tuple[str, int, int | None, int]]:
    """Prompt, tokens, declared tokens and repeat of every measured request of a block."""
    (path,) = run.glob(f"blocks/{block}/cells/*/requests.parquet")
    with duckdb.connect() as connection:
        return connection.execute(
            "SELECT prompt_id, completion_tokens, expected_tokens, prompt_repeat FROM read_parquet(?) "
            "WHERE phase = 'measured'",
            [str(path)],
        ).fetchall()


def lengths(run: Path) -> dict[str, int]:
    table: dict[str, int] = json.loads((run / "lengths" / "prompts.json").read_text())["lengths"]
    return table


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three arms."""
    directory = tmp_path_factory.mktemp("natural")
    write_inputs(directory)
    command = [str(Path(sys.executable).with_name("kilotoken")), "run", "natural.yaml", "--out", "out"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "one more server life, in which natural lengths are recorded" in done.stdout.replace("\n", " ")
    assert f"{PROMPTS} answers" in done.stdout
    return directory / "out"


def test_every_prompt_is_recorded_once_on_the_baseline_in_a_life_of_its_own(run: Path) -> None:
    recorded = measured(run, "lengths.1")
    assert len(recorded) == PROMPTS == len({prompt for prompt, *_ in recorded})
    assert {declared for *_, declared, _ in recorded} == {None}, "free: it is the answer that decides"
    assert lengths(run) == {prompt: tokens for prompt, tokens, *_ in recorded}
    status = json.loads((run / "blocks" / "lengths.1" / "block.json").read_text())
    assert (status["status"], status["arm"], status["repeat"]) == ("finished", "plain", 0)
    argv = json.loads((run / "blocks" / "lengths.1" / "server" / "command.json").read_text())["argv"]
    assert "--speculative-config" not in argv


def test_every_arm_is_held_to_the_recorded_length_and_sends_no_prompt_twice(run: Path) -> None:
    table = lengths(run)
    for arm in ("plain", "fast"):
        sent = measured(run, f"r1-{arm}.1")
        assert all(tokens == declared == table[prompt] for prompt, tokens, declared, _ in sent)
        assert {repeat for *_, repeat in sent} == {0}


def test_an_arm_that_gets_to_the_end_of_its_prompts_ends_its_window_there(run: Path) -> None:
    cells = {c["arm"]: c for c in json.loads((run / "measures.json").read_text())["cells"]}
    fast = cells["fast"]
    assert fast["window_s"] < 8, "eighty prompts last the fast arm two seconds"
    assert len(measured(run, "r1-fast.1")) >= PROMPTS - 12, "but for what other streams had left"
    assert "of this cell" not in (fast["reason"] or ""), "nothing was repeated"
    assert "25 s needed" in fast["reason"]
    assert fast["reconciled"]


def test_answers_of_another_length_are_drift(run: Path) -> None:
    cells = {c["arm"]: c for c in json.loads((run / "measures.json").read_text())["cells"]}
    assert "ended before their declared length" in cells["liar"]["reason"]
    for arm in ("plain", "fast"):
        checked = cells[arm]["findings"]["declared_lengths"]
        assert checked["checked"] > 10
        assert (checked["shorter"], checked["longer"], checked["reason"]) == (0, 0, "")


def test_the_recording_is_no_measured_block(run: Path) -> None:
    assert {c["block"] for c in json.loads((run / "measures.json").read_text())["cells"]} == {
        "r1-fast",
        "r1-plain",
        "r1-liar",
    }


def test_dry_run_and_validate_count_it(tmp_path: Path, kilotoken: Command) -> None:
    write_inputs(tmp_path)
    shown = kilotoken("run", "natural.yaml", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "lengths of prompts.jsonl" in shown.stdout
    assert "3 cells in 3 server lives" in shown.stdout
    assert "one more server life, in which natural lengths are recorded" in " ".join(shown.stdout.split())
    checked = kilotoken("validate", "natural.yaml")
    assert "3 server lives, 3 cells; natural lengths are recorded in one more server life" in checked.stdout
    write_inputs(tmp_path, prompts=5)
    refused = kilotoken("validate", "natural.yaml")
    assert refused.returncode == 2
    assert "3 streams need 12 at the least" in refused.stderr


def test_an_interrupted_recording_stays_on_record_and_is_made_again_whole(
    tmp_path: Path, started: Start, kilotoken: Command
) -> None:
    slow = EXPERIMENT.replace("  liar:", "  # liar:").replace(
        "model: fake-model\n  engine: {device: fake}",
        'model: fake-model\n  engine: {device: fake, extra_args: [--tpot-s, "0.02"]}',
    )
    write_inputs(tmp_path, slow)
    out = tmp_path / "out"
    workbench = started("run", "natural.yaml", "--out", out)
    wait_for(lambda: list(out.glob("blocks/lengths.1/cells/*/load.json")), within_s=40.0)
    workbench.send_signal(signal.SIGINT)
    output, _ = workbench.communicate(timeout=40)
    assert workbench.returncode == 130, output
    assert f"kilotoken run --resume {out}" in output
    assert not (out / "lengths").exists()
    resumed = kilotoken("run", "--resume", out)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    states = {b.name: json.loads((b / "block.json").read_text())["status"] for b in out.glob("blocks/*")}
    assert states == {
        "lengths.1": "interrupted",
        "lengths.2": "finished",
        "r1-plain.1": "finished",
        "r1-fast.1": "finished",
    }
    before = (out / "lengths" / "prompts.json").stat().st_mtime_ns
    again = kilotoken("run", "--resume", out)
    assert again.returncode == 0, again.stderr
    assert "kept lengths: finished earlier" in again.stdout
    assert (out / "lengths" / "prompts.json").stat().st_mtime_ns == before

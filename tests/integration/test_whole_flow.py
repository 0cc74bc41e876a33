"""One run from the question to the report, checked against what its files say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

CELL_KEYS = {
    "arm", "workload", "streams", "repeat", "requests", "failed", "output_tokens", "window_s",
    "output_tokens_per_s", "usd_per_1k_output_tokens", "usd_per_1k_slo_output_tokens", "ttft_s", "tpot_s",
    "acceptance_length", "tokens_per_step", "reconciled", "verdict", "reason",
}  # fmt: skip

EXPERIMENT = """
name: flow
question: Does <script>alert(1)</script> stay text?
server:
  model: fake-model
  engine: {device: fake}
arms:
  plain: {}
  ngram: {speculation: {method: ngram, num_speculative_tokens: 3}}
workloads: [chat, prompts.jsonl]
loads: {streams: [1, 4]}
output: {max_tokens: 24}
window: {minimum_s: 2, warm_up_s: 0.5}
repeats: 1
price: {usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}
"""


def kilotoken(directory: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("kilotoken")), *map(str, arguments)]
    return subprocess.run(
        command, cwd=directory, env=os.environ, capture_output=True, text=True, timeout=110, check=False
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of eight cells."""
    directory = tmp_path_factory.mktemp("flow")
    (directory / "experiment.yaml").write_text(EXPERIMENT)
    prompts = [{"prompt": f"Please say something about the number {i}."} for i in range(400)]
    (directory / "prompts.jsonl").write_text("\n".join(json.dumps(p) for p in prompts))
    done = kilotoken(directory, "run", "experiment.yaml", "--out", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    return directory / "out"


@pytest.fixture(scope="module")
def document(run: Path) -> dict[str, Any]:
    """What `show --json` prints."""
    shown = kilotoken(run.parent, "show", run, "--json")
    assert shown.returncode == 0, shown.stderr
    loaded: dict[str, Any] = json.loads(shown.stdout)
    return loaded


def test_every_cell_is_there_reconciled_and_has_the_public_keys(document: dict[str, Any]) -> None:
    cells = document["cells"]
    assert {(c["arm"], c["workload"], c["streams"]) for c in cells} == {
        (arm, workload, streams)
        for arm in ("plain", "ngram")
        for workload in ("chat", "prompts.jsonl")
        for streams in (1, 4)
    }
    for cell in cells:
        assert cell.keys() >= CELL_KEYS
        assert cell["reconciled"] is True, cell["reason"]
        assert cell["failed"] == 0
        assert cell["requests"] > 0
        assert cell["window_s"] >= 2
        assert cell["reconciliation"]["token_ids_checked"] > 0
        energy = cell["energy"]
        assert energy["code"] != "not recorded"
        assert (energy["joules"] is None) == (energy["code"] not in ("valid", "wrapped")), energy["reason"]
        # Whatever else the host did meanwhile: a window below 25 s must not be valid.
        assert cell["verdict"]["throughput"] != "valid"
        assert "25 s needed" in cell["reason"]


def test_speculation_shows_in_the_speculating_arm_only(document: dict[str, Any]) -> None:
    for cell in document["cells"]:
        if cell["arm"] == "plain":
            assert cell["acceptance_length"] is None
            assert "does not speculate" in cell["reason"]
            assert cell["tokens_per_step"] == pytest.approx(1.0, abs=0.02)
        else:
            assert 1.5 < cell["acceptance_length"] <= 4
            assert cell["tokens_per_step"] > 1.5


def page_value(text: str, name: str) -> float:
    return sum(float(v) for v in re.findall(rf"^{name}{{.*}} (\S+)$", text, re.M))


def test_the_cost_can_be_recomputed_by_hand_from_the_two_saved_pages(
    run: Path, document: dict[str, Any]
) -> None:
    """Read with a regular expression, not with our parser: price / 3600 x seconds / tokens x 1000."""
    for cell in document["cells"]:
        stem = Path(cell["workload"]).stem
        folder = run / "blocks" / f"{cell['block']}.1" / "cells" / f"{stem}-{cell['streams']}"
        start, end = ((folder / f"metrics_window_{edge}.prom").read_text() for edge in ("start", "end"))
        name = "vllm:generation_tokens_total"
        tokens = page_value(end, name) - page_value(start, name)
        edges = json.loads((folder / "cell.json").read_text())["edges"]
        seconds = edges["window_end"]["at_s"] - edges["window_start"]["at_s"]
        assert cell["output_tokens"] == tokens
        assert cell["usd_per_1k_output_tokens"] == pytest.approx(3.6 / 3600 * seconds / tokens * 1000)


def test_usage_counters_and_records_agree_idle_to_idle(run: Path) -> None:
    for folder in (run / "blocks").glob("*/cells/*"):
        before, after = ((folder / f"metrics_idle_{e}.prom").read_text() for e in ("before", "after"))
        counted = page_value(after, "vllm:generation_tokens_total") - page_value(
            before, "vllm:generation_tokens_total"
        )
        with duckdb.connect() as connection:
            row = connection.execute(
                "SELECT sum(completion_tokens), count(DISTINCT request_id), count(*) FROM read_parquet(?)",
                [str(folder / "requests.parquet")],
            ).fetchone()
        assert row is not None
        assert row[0] == counted
        assert row[1] == row[2]


def test_arms_saw_the_same_prompts_in_the_same_order_and_warm_up_prompts_were_never_measured(
    run: Path,
) -> None:
    orders = {}
    for block in ("r1-plain.1", "r1-ngram.1"):
        with duckdb.connect() as connection:
            rows = connection.execute(
                "SELECT phase, prompt_id, template, stream FROM read_parquet(?) ORDER BY intended_send_s",
                [str(run / "blocks" / block / "cells" / "chat-4" / "requests.parquet")],
            ).fetchall()
        for stream in range(4):
            orders[block, stream] = [p for phase, p, _, s in rows if phase == "measured" and s == stream]
        templates = {phase: {t for p, _, t, _ in rows if p == phase} for phase in ("warm_up", "measured")}
        assert templates["warm_up"]
        assert not templates["warm_up"] & templates["measured"]
    for stream in range(4):
        common = min(len(orders[block, stream]) for block in ("r1-plain.1", "r1-ngram.1"))
        assert common > 5
        assert orders["r1-plain.1", stream][:common] == orders["r1-ngram.1", stream][:common]


def test_the_run_says_how_to_make_it_again(run: Path) -> None:
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["command"][1:3] == ["run", "experiment.yaml"]
    assert provenance["hardware"]["usable_cpus"] >= 1
    assert (run / "experiment.yaml").read_text() == EXPERIMENT
    assert (run / "workloads" / "prompts" / "prompts.jsonl").exists()
    command = json.loads((run / "blocks" / "r1-ngram.1" / "server" / "command.json").read_text())
    assert "--speculative-config" in command["argv"]
    assert json.loads((run / "blocks" / "r1-ngram.1" / "server" / "resolved.json").read_text())


def test_every_later_stage_can_be_made_again_from_files(run: Path) -> None:
    names = ("measures.json", "cost.json", "comparison.json", "losslessness/ngram.json", "report.html")
    before = {name: (run / name).read_bytes() for name in names}
    for name in names:
        (run / name).unlink()
    missing = kilotoken(run.parent, "show", run)
    assert missing.returncode == 7
    assert "kilotoken report" in missing.stderr
    again = kilotoken(run.parent, "report", run)
    assert again.returncode == 0, again.stderr
    assert {name: (run / name).read_bytes() for name in names} == before


def test_the_report_is_one_file_with_the_numbers_and_the_warning_that_a_fake_served(
    run: Path, document: dict[str, Any]
) -> None:
    page = (run / "report.html").read_text()
    assert "A fake server stood in" in page
    assert "<script>alert(1)" not in page
    assert "speculative_config.method" in page, "the resolved difference between arms is shown"


def test_the_table_fits_and_tells_the_same(run: Path, document: dict[str, Any]) -> None:
    shown = kilotoken(run.parent, "show", run)
    assert shown.returncode == 0
    assert max(map(len, shown.stdout.splitlines())) <= 150
    for cell in document["cells"]:
        assert f"{cell['output_tokens_per_s']:.1f}" in shown.stdout


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_of_a_run_opens_in_a_browser_and_fetches_nothing(
    run: Path, chromium: Any, scheme: str
) -> None:
    """The example reports of tests/dashboards look further; this one was measured."""
    page = chromium.new_page(viewport={"width": 1400, "height": 900}, color_scheme=scheme)
    troubles: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((run / "report.html").as_uri())
    assert page.title()
    drawn = page.evaluate(
        "[...document.querySelectorAll('.plot')].map((p) => p.querySelectorAll('svg path').length)"
    )
    page.close()
    assert len(drawn) >= 4
    assert all(drawn)
    assert troubles == []
    assert [url.split(":")[0] for url in requests] == ["file"]

"""Searches for capacity, and offered rates, through whole runs on the fake server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .conftest import Command

EXPERIMENT = """
name: capacity
server:
  model: fake-model
  engine: {{device: fake}}
arms:
  wide: {{batching: {{max_num_seqs: 16}}}}
  narrow: {{batching: {{max_num_seqs: 1}}}}
workloads: [chat]
loads: {loads}
output: {{max_tokens: 100, length: fixed}}
window: {{minimum_s: 1.2, warm_up_s: 0.3}}
repeats: {repeats}
price: {{usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}}
slo: {slo}
"""
#: A request that finds no slot waits for another's answer, about 0.5 s; one that does has its first token after 0.02 s.
WITHIN_A_SLOT = "{ttft_s: 0.3, tpot_s: 0.05, attainment_floor: 0.8}"


def write(tmp_path: Path, loads: str, slo: str = WITHIN_A_SLOT, repeats: int = 1) -> None:
    text = EXPERIMENT.format(loads=loads, slo=slo, repeats=repeats)
    (tmp_path / "experiment.yaml").write_text(text, encoding="utf-8")


def shown(kilotoken: Command) -> dict[str, Any]:
    done = kilotoken("show", "out", "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_each_arm_is_priced_at_its_own_capacity(kilotoken: Command, tmp_path: Path) -> None:
    write(tmp_path, "{capacity: {highest: 3}}")
    done = kilotoken("run", "experiment.yaml", "--out", "out", timeout_s=240)
    assert done.returncode == 0, done.stdout + done.stderr
    document = shown(kilotoken)
    found = {row["arm"]: row for row in document["capacities"]}
    assert (found["narrow"]["chosen"], found["narrow"]["lowest_missed"]) == (1, 2)
    assert (found["wide"]["chosen"], found["wide"]["lowest_missed"]) == (3, None)
    # A probe that missed on a busy host is tried again, at the same load.
    assert list(dict.fromkeys(probe["at"] for probe in found["narrow"]["probes"])) == [1, 2]
    cells = {cell["arm"]: cell for cell in document["cells"]}
    for arm, row in found.items():
        if row["confirmed"]["word"] == "not measured":  # a block that a busy host voided confirms nothing
            assert cells[arm]["verdict"]["throughput"] in ("noisy_host", "client_bound"), cells[arm]["reason"]
        else:
            assert row["confirmed"]["word"] == "confirmed", row["confirmed"]
    assert {arm: cell["streams"] for arm, cell in cells.items()} == {"wide": 3, "narrow": 1}
    assert {cell["load"] for cell in cells.values()} == {"capacity"}
    assert cells["wide"]["usd_per_1k_slo_output_tokens"] < cells["narrow"]["usd_per_1k_slo_output_tokens"]
    assert document["arms"]["narrow"]["against_baseline"][0]["metric"] == "slo_cost"
    # The price comes from blocks of their own: no request of a probe is in them.
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert {block["block_id"] for block in plan["searches"]} == {"search-wide", "search-narrow"}
    assert {cell["block"] for cell in document["cells"]} == {"r1-wide", "r1-narrow"}
    table = kilotoken("show", "out").stdout
    assert "narrow on chat: 1 stream met the floor, 2 missed it." in table
    assert "capacity: 3 streams" in table
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "1 stream met the floor, 2 missed it." in report


def test_an_slo_that_no_load_meets_is_answered_with_the_nearest_one(
    kilotoken: Command, tmp_path: Path
) -> None:
    write(tmp_path, "capacity", slo="{ttft_s: 1.0, tpot_s: 0.001, attainment_floor: 0.8}")
    done = kilotoken("run", "experiment.yaml", "--out", "out", timeout_s=240)
    assert done.returncode == 0, done.stdout + done.stderr
    document = shown(kilotoken)
    for row in document["capacities"]:
        assert row["chosen"] is None
        limit, before, after = row["nearest_slo"].replace(" ->", "").split()
        assert (limit, float(before)) == ("tpot_s", 0.001)
        assert 0.004 < float(after) < 0.02  # the server takes 5 ms a token
    assert document["cells"] == []
    assert "Nearest feasible SLO at this load: tpot_s 0.001 -> " in kilotoken("show", "out").stdout


def test_a_search_that_was_killed_is_done_again_whole_and_the_plan_stays(
    kilotoken: Command, started: Callable[..., Any], tmp_path: Path
) -> None:
    write(tmp_path, "{capacity: {highest: 2}}")
    child = started("run", "experiment.yaml", "--out", "out")
    for line in child.stdout:
        if "probe" in line:
            break
    child.kill()
    child.wait()
    plan = (tmp_path / "out" / "plan.json").read_bytes()
    done = kilotoken("run", "--resume", "out", timeout_s=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "plan.json").read_bytes() == plan
    first = json.loads(plan)["searches"][0]["block_id"]
    attempts = sorted(p.name for p in (tmp_path / "out" / "blocks").glob(f"{first}.*"))
    assert attempts == [f"{first}.1", f"{first}.2"]
    assert {row["arm"]: row["chosen"] for row in shown(kilotoken)["capacities"]} == {"wide": 2, "narrow": 1}


def test_at_a_fixed_rate_cost_is_equal_by_construction(kilotoken: Command, tmp_path: Path) -> None:
    write(tmp_path, "{rates: [4]}")
    done = kilotoken("run", "experiment.yaml", "--out", "out", timeout_s=240)
    assert done.returncode == 0, done.stdout + done.stderr
    document = shown(kilotoken)
    assert {cell["load"] for cell in document["cells"]} == {"4 requests/s"}
    row = document["arms"]["narrow"]["against_baseline"][0]
    assert (row["word"], row["interval"]) == ("equal by construction", None)
    assert {one["metric"] for one in row["latencies"]} == {"ttft_p50", "ttft_p95", "tpot_p50", "tpot_p95"}
    assert "costs the same by construction on chat at 4 requests/s" in document["headline"]
    for cell in document["cells"]:
        offered = cell["output_tokens_per_s"] / 100
        assert 1 < offered < 9, "requests come at the rate that was asked for, whatever the answers do"


def test_a_pilot_fixes_the_pairs_and_the_budget_is_kept(kilotoken: Command, tmp_path: Path) -> None:
    write(tmp_path, "{streams: [2]}")
    path = tmp_path / "experiment.yaml"
    # A block takes some 5 s here: the pilot about 20, and not all of forty more pairs are to be had for a minute.
    text = path.read_text().replace("repeats: 1", "pairs: {pilot: 2, most: 40}\nbudget: {usd: 0.06}")
    path.write_text(text, encoding="utf-8")
    done = kilotoken("run", "experiment.yaml", "--out", "out", timeout_s=240)
    assert done.returncode == 0, done.stdout + done.stderr
    document = shown(kilotoken)
    pairs = document["pairs"]
    assert pairs["limited_by"] == "budget"
    held = [json.loads(p.read_text())["held_s"] for p in (tmp_path / "out" / "blocks").glob("*/block.json")]
    assert 30 < sum(held) < 60 + max(held)
    repeats = {cell["repeat"] for cell in document["cells"]}
    assert repeats == set(range(1, 3 + pairs["pairs"]))
    row = document["arms"]["narrow"]["against_baseline"][0]
    assert f"repeat {max(repeats)}" in row["reason"], "pairs after the pilot are looked at"
    assert "repeat 1:" not in row["reason"], "the pilot's are not"

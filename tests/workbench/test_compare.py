"""`kilotoken compare` on run directories whose numbers are known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from accounting.errors import ConfigError, KilotokenError, RunError
from workbench.cli import app
from workbench.compare_command import compare, margin_of, metrics_of, not_shown, refuse_unjudged
from workbench.compare_table import compare_table
from workbench.experiment import parse_experiment
from workbench.plan import make_plan
from workbench.run_directory import RunDirectory, write_json

TEXT = """
name: planted
server: {{model: {model}, engine: {{device: fake}}}}
arms:
  plain: {{}}
  again: {{}}
  slow: {{batching: {{max_num_seqs: 7}}}}
workloads: [chat]
loads: {{streams: [4]}}
repeats: {repeats}
price: {{usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}}
"""
Make = Callable[..., Path]


def cell(arm: str, repeat: int, speed: float, verdict: str) -> dict[str, Any]:
    quantiles = {"p50": 10 / speed, "p95": None, "samples": 20, "reason": "20 samples; p95 needs 130"}
    return {
        "arm": arm, "workload": "chat", "streams": 4, "repeat": repeat, "block": f"r{repeat}-{arm}", "window_s": 30.0,
        "output_tokens_per_s": speed, "ttft_s": quantiles, "tpot_s": quantiles,
        "slo_token_share": {"value": 0.5, "reason": None},
        "verdict": {"throughput": verdict, "tails": "too_short" if verdict == "valid" else verdict},
        "reason": "tails: 20 samples",
    }  # fmt: skip


@pytest.fixture
def make_run(tmp_path: Path) -> Make:
    """Writes a finished run; `slow` costs a tenth more, `drifting` names repeats whose slow cell drifted."""

    def make(
        name: str = "run",
        *,
        repeats: int = 6,
        model: str = "fake-model",
        drifting: tuple[int, ...] = (),
        finished: bool = True,
    ) -> Path:
        text = TEXT.format(model=model, repeats=repeats)
        plan = make_plan(parse_experiment(text, origin="test"))
        run = RunDirectory.create(tmp_path / name, text, plan, {})
        dice = np.random.default_rng(7)
        cells = []
        for block in plan.blocks:
            attempt = run.next_attempt(block)
            attempt.write_status("finished" if finished else "failed", startup_s=6.0)
            (attempt.server / "resolved.json").write_text(
                json.dumps({"max_num_seqs": 7 if block.arm == "slow" else 64})
            )
            speed = (100.0 / 1.1 if block.arm == "slow" else 100.0) * float(np.exp(dice.normal(0, 0.01)))
            drifts = block.arm == "slow" and block.repeat in drifting
            cells.append(cell(block.arm, block.repeat, speed, "drifting" if drifts else "valid"))
        costs = [
            {"usd_per_1k_output_tokens": 1 / c["output_tokens_per_s"], "usd_per_1k_slo_output_tokens": 2 / c["output_tokens_per_s"]}
            for c in cells
        ]  # fmt: skip
        write_json(run.path / "measures.json", {"cells": cells, "pooled": []})
        write_json(run.path / "cost.json", {"price": {}, "cells": costs})
        return run.path

    return make


def asked(path: Path, *rest: str, margin: float = 0.03, metrics: tuple[str, ...] = ()) -> dict[str, Any]:
    return compare(path, rest, margin=margin, metrics=metrics_of(metrics))


def row(document: dict[str, Any], arm: str, metric: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        r for r in document["comparisons"] if (r["arm"], r["metric"]) == (arm, metric)
    )
    return found


def test_a_planted_tenth_is_found_in_every_metric_and_its_own_word(make_run: Make) -> None:
    document = asked(make_run())
    words = {
        metric: row(document, "slow", metric)["word"]
        for metric in ("cost", "goodput", "tokens_per_s", "ttft_p50")
    }
    assert words == {"cost": "dearer", "goodput": "less", "tokens_per_s": "less", "ttft_p50": "slower"}
    cost = row(document, "slow", "cost")
    assert cost["ratio"] == pytest.approx(1.1, rel=0.02)
    assert cost["confidence"] == pytest.approx(0.975)  # two arms share the error
    assert cost["sign_flip_p"] == pytest.approx(2 / 64)
    assert cost["p_holm"] == pytest.approx(2 * cost["p_value"])
    assert not cost["margin"]["shown"]
    assert not row(document, "slow", "tokens_per_s")["margin"]["shown"]  # worse means fewer
    assert row(document, "slow", "ttft_p95")["ratio"] is None


def test_the_same_configuration_twice_is_the_floor(make_run: Make) -> None:
    document = asked(make_run())
    floor = next(r for r in document["same_arms"] if r["metric"] == "cost")
    assert {floor["arm"], floor["against"]} == {"plain", "again"}
    assert floor["interval"][0] < 1 < floor["interval"][1]
    assert row(document, "again", "cost")["margin"]["shown"]
    assert document["resolved_differences"] == {
        "again": [],
        "slow": [{"field": "max_num_seqs", "against": 64, "arm": 7}],
    }


def test_choosing_an_arm_after_a_look_changes_no_number(make_run: Make) -> None:
    path = make_run()
    assert row(asked(path, "slow"), "slow", "cost") == row(asked(path), "slow", "cost")


def test_a_run_of_one_arm_or_of_one_block_beside_another_is_refused(make_run: Make) -> None:
    one_block = make_run("short", repeats=1)
    with pytest.raises(RunError, match="short has one block per arm"):
        asked(make_run("long"), str(one_block))
    alone = make_run("alone")
    kept = [line for line in (alone / "experiment.yaml").read_text().splitlines() if "again" not in line]
    (alone / "experiment.yaml").write_text("\n".join(line for line in kept if "slow" not in line))
    with pytest.raises(RunError, match="one arm only, plain"):
        asked(alone)


def test_other_prices_are_named_with_source_and_date(make_run: Make) -> None:
    one, two = make_run("one"), make_run("two")
    text = (two / "experiment.yaml").read_text()
    (two / "experiment.yaml").write_text(text.replace("usd_per_hour: 3.6", "usd_per_hour: 7.2"))
    note = asked(one, str(two), "slow")["notes"][1]
    assert "$3.6 per hour (declared for a test, 2026-11-22) against $7.2 per hour" in note


def test_two_arms_are_compared_the_way_they_are_named(make_run: Make) -> None:
    assert row(asked(make_run(), "plain", "slow"), "plain", "cost")["word"] == "cheaper"


def test_a_cell_that_is_not_valid_is_left_out_and_named(make_run: Make) -> None:
    document = asked(make_run(drifting=(2, 5, 6)), "slow", metrics=("cost",))
    cost = row(document, "slow", "cost")
    assert cost["word"] == "too few blocks"
    assert cost["left_out"][0] == "repeat 2: slow throughput is drifting"
    assert sum(c["verdict"]["throughput"] == "drifting" for c in document["cells_not_valid"]) == 3
    # 36 s a block (start 6, window 30), two blocks a pair, 3.6 USD an hour.
    deciding = document["deciding"]
    assert deciding["hours"] == pytest.approx(deciding["more_pairs"] * 72 / 3600)
    assert deciding["usd"] == pytest.approx(deciding["hours"] * 3.6)
    assert not_shown(document) == ["slow on chat at 4 streams: 3 valid pairs, 4 needed"]


def test_what_is_decided_asks_for_no_pairs_and_says_in_which_metric(make_run: Make) -> None:
    run = make_run()
    decided = asked(run, "slow", metrics=("cost",))["deciding"]
    assert decided["reason"] == "nothing is open: every word on $ per 1k output tokens is decided"
    of_latency = asked(run, "again", metrics=("ttft_p50",))["deciding"]
    assert of_latency["metric"] == "TTFT p50 (s)"
    nothing = compare(run, ["again"], margin=0.0, metrics=metrics_of(["cost"]))["deciding"]
    assert "give --margin" in nothing["reason"]


def test_a_gate_that_does_not_look_at_the_load_s_own_cost_is_refused() -> None:
    def document(load: str, *metrics: str) -> dict[str, Any]:
        return {"run": "r", "comparisons": [{"load": load, "metric": metric} for metric in metrics]}

    refuse_unjudged(document("capacity", "cost", "slo_cost"))
    refuse_unjudged(document("4 streams", "cost"))
    for load, metric, needed in (("capacity", "cost", "slo_cost"), ("4 streams", "slo_cost", "cost")):
        with pytest.raises(ConfigError, match=f"judges {needed} here") as refused:
            refuse_unjudged(document(load, metric))
        assert f"--metric {needed}" in refused.value.hint


def test_naming_one_arm_of_two_runs_narrows_no_interval(make_run: Make) -> None:
    one, two = make_run("one"), make_run("two")
    whole, named = asked(one, str(two)), asked(one, str(two), "slow")
    assert whole["family"] == named["family"] == 3
    assert row(named, "slow", "cost")["interval"] == row(whole, "slow", "cost")["interval"]


def test_two_runs_say_where_prompts_were_not_the_same(make_run: Make) -> None:
    one, two = make_run("one"), make_run("two")
    for run, text in ((one, "{}"), (two, "{ }")):
        (run / "workloads" / "chat").mkdir(parents=True)
        (run / "workloads" / "chat" / "mine.jsonl").write_text(text)
    assert any("not the same file in both runs" in note for note in asked(one, str(two))["notes"])
    (two / "workloads" / "chat" / "mine.jsonl").write_text("{}")
    assert not any("not the same file" in note for note in asked(one, str(two))["notes"])


def test_two_runs_say_what_is_known_of_the_answers(make_run: Make) -> None:
    one, two = make_run("one"), make_run("two")
    (two / "losslessness").mkdir()
    judged = {"dtype": "bfloat16", "word": "lossy", "reason": "many", "candidate": {}}
    write_json(two / "losslessness" / "slow.json", {"judgements": [judged]})
    notes = asked(one, str(two), "slow")["notes"]
    assert f"{two}: slow is lossy (bfloat16): its answers are not the baseline's" in notes


def test_two_runs_are_unpaired_and_labelled_so(make_run: Make) -> None:
    document = asked(make_run("one"), str(make_run("two")), "slow", "plain")
    assert document["design"] == "unpaired"
    assert "unpaired" in document["notes"][0]
    assert row(document, "slow", "cost")["word"] == "dearer"
    assert row(document, "slow", "cost")["blocks"] == [6, 6]
    assert compare_table(document)


@pytest.mark.parametrize(
    ("rest", "changes", "error", "says"),
    [
        (["slwo"], {}, ConfigError, "slow"),
        (["plain"], {}, ConfigError, "itself"),
        (["plain", "slow", "again"], {}, ConfigError, "two arms"),
        ([], {"repeats": 1}, RunError, "one block per arm"),
        ([], {"finished": False}, RunError, "not finished"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    make_run: Make, rest: list[str], changes: dict[str, Any], error: type[KilotokenError], says: str
) -> None:
    with pytest.raises(error) as caught:
        asked(make_run(**changes), *rest)
    assert says in caught.value.message + caught.value.hint


def test_a_missing_ratio_is_explained_on_the_terminal(make_run: Make) -> None:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(compare_table(asked(make_run())))
    said = "TTFT p95 (s): not measured on chat at 4 streams, because repeat 1: again tails are too_short"
    assert said in captured.get()


def test_runs_of_different_models_are_refused(make_run: Make) -> None:
    with pytest.raises(RunError, match="different models"):
        asked(make_run("one"), str(make_run("two", model="other-model")))


def serve_as(run: Path, name: str) -> None:
    """What the loads of a run were told, where no model is declared."""
    for block in (run / "blocks").iterdir():
        cell_directory = block / "cells" / "chat-4"
        cell_directory.mkdir(parents=True)
        (cell_directory / "load.json").write_text(json.dumps({"model": name}))


def test_servers_that_ran_already_are_known_by_the_names_they_serve(make_run: Make, tmp_path: Path) -> None:
    """No model is declared of them: what they were asked for is on record."""
    runs = [make_run("one"), make_run("two")]
    for run, name in zip(runs, ("this-model", "that-model"), strict=True):
        text = (run / "experiment.yaml").read_text()
        (run / "experiment.yaml").write_text(
            text.replace("slow: {batching: {max_num_seqs: 7}}", 'slow: {url: "http://x"}')
        )
        serve_as(run, name)
    with pytest.raises(
        RunError, match=r"serves this-model, slow of .*two serves that-model: tokens of different"
    ):
        asked(runs[0], str(runs[1]), "slow")


def test_arms_of_one_run_that_serve_other_models_are_compared_with_a_note(make_run: Make) -> None:
    """A quantised copy is another model, and asking for it is no mistake."""
    run = make_run()
    assert asked(run)["notes"] == []
    text = (run / "experiment.yaml").read_text()
    (run / "experiment.yaml").write_text(
        text.replace("{max_num_seqs: 7}}", "{max_num_seqs: 7}, model: fake-model@int8}")
    )
    (note,) = asked(run)["notes"]
    assert note.startswith("slow serves fake-model@int8, plain serves fake-model: ")


def test_a_metric_that_no_cell_has_is_refused(make_run: Make) -> None:
    with pytest.raises(RunError, match="TTFT p95"):
        asked(make_run(), metrics=("ttft_p95",))
    with pytest.raises(ConfigError, match="not known"):
        metrics_of(["costs"])


def test_a_margin_is_a_share() -> None:
    assert margin_of("3%") == margin_of("0.03") == margin_of(None) == pytest.approx(0.03)
    for bad in ("-1%", "x", "300%", "nan"):
        with pytest.raises(ConfigError, match="margin"):
            margin_of(bad)


def test_the_command_exits_3_only_where_the_margin_is_not_shown(make_run: Make) -> None:
    path, call = str(make_run()), CliRunner().invoke
    assert call(app, ["compare", path, "again", "--fail-if", "dearer"]).exit_code == 0
    assert call(app, ["compare", path, "slow", "--fail-if", "dearer", "--margin", "20%"]).exit_code == 0
    assert call(app, ["compare", path, "slow", "--fail-if", "dearer", "--json"]).exit_code == 3
    assert call(app, ["compare", path]).exit_code == 0


def test_a_lossy_arm_is_named_below_its_word(make_run: Make) -> None:
    path = make_run()
    assert asked(path)["notes"] == []
    (path / "losslessness").mkdir()
    judgements = [{"dtype": "bfloat16", "word": "lossy", "reason": "3 divergences are not excused"}]
    write_json(path / "losslessness" / "slow.json", {"judgements": judgements})
    assert asked(path)["notes"] == ["slow is lossy (bfloat16): its answers are not the baseline's"]

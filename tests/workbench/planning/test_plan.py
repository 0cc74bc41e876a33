"""The plan on an engine whose steps are known: drafting where it is worth it, none where it is not, nothing beyond what was measured."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import date
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from rich.console import Console

from accounting.errors import ConfigError, RunError
from accounting.planning.drafting_yield import no_drafting
from accounting.planning.steady_rate import steady_rate
from accounting.prices import Price
from accounting.slo import Slo
from drafts.replay.traces import write_traces
from tests.accounting.planning import engines
from tests.workbench.planning.logged_answers import traces, yields
from tests.workbench.planning.simulated_profile import SimulatedRun
from tests.workbench.planning.test_profile import HOLDS_FOR, begun, profile
from workbench.experiment import load_experiment
from workbench.pairs import BudgetSection
from workbench.plan import estimate, make_plan
from workbench.planning.candidates import Candidate, Limits, method_candidates, refined
from workbench.planning.known_profiles import known_profile
from workbench.planning.logged_traffic import RequestDraw, parse_mix, target_traces, traffic_mix
from workbench.planning.plan_document import plan_document
from workbench.planning.plan_files import SERVER, write_plan, write_proof
from workbench.planning.plan_inputs import PlanInputs
from workbench.planning.plan_table import plan_table
from workbench.planning.profile_command import finish_profile
from workbench.planning.proof import proof_experiment, proof_sentence
from workbench.planning.replayed_yields import Traffic, replayed_yields
from workbench.run_command import refuse_beyond_budget
from workbench.run_directory import RunDirectory, write_json

Document = dict[str, Any]
LIMITS = Limits(streams=16, kv_tokens=lambda _drafter, _k: 1e6, batching={}, batched_tokens=2048)
SOME = {"name": "some-model", "sha256": "a"}
KNOWN: Document = HOLDS_FOR | {"target": SOME, "engine": None}
SECTIONS = {"draft_model": {"method": "draft_model", "model": "some-draft"}}


def anything(_one: Candidate) -> None:
    """vLLM would serve it."""


def planned(
    accepted: float,
    *,
    tpot_s: float | None = 0.030,
    ttft_s: float | None = None,
    by: Any = "streams",
    allowed: Callable[[Candidate], str | None] = anything,
) -> Document:
    """A document of its own; the same question is simulated once."""
    return deepcopy(_planned(accepted, tpot_s, ttft_s, by, allowed))


@cache
def _planned(
    accepted: float,
    tpot_s: float | None,
    ttft_s: float | None,
    by: Any,
    allowed: Callable[[Candidate], str | None],
) -> Document:
    logged = traces()
    mix = parse_mix(None, [trace.label for trace in logged])
    return plan_document(
        PlanInputs(
            cost=engines.fitted(noise=0.01),
            candidates=method_candidates({"draft_model": yields(accepted)}, SECTIONS, LIMITS),
            mix=traffic_mix(logged, mix),
            draw=RequestDraw(logged, mix),
            slo=Slo(ttft_s, tpot_s),
            by=by,
            streams=(1, 4, 16),
            price=Price(3.6, "declared", date(2026, 11, 27)),
            seed=1,
            allowed=allowed,
        )
    )


def test_drafts_that_are_accepted_are_served_with_the_k_that_pays_most() -> None:
    document = planned(0.9)
    chosen = document["chosen"]
    assert chosen["sections"]["speculation"]["method"] == "draft_model"
    assert chosen["sections"]["speculation"]["num_speculative_tokens"] >= 3
    assert document["gain"]["ratio"] > 1.2
    low, high = document["gain"]["interval"]
    assert low < document["gain"]["ratio"] < high
    assert 1 < document["holds_while"]["tokens_per_step"] < document["holds_while"]["planned_tokens_per_step"]
    assert document["holds_while"]["mix"].keys() == {"chat", "copy"}
    assert chosen["usd_per_1k_slo"] == pytest.approx(1.0 / chosen["slo_tokens_per_s"])
    best = max(row["slo_tokens_per_s"] for row in document["candidates"])
    assert chosen["slo_tokens_per_s"] == best


def test_drafts_that_are_refused_are_not_served() -> None:
    document = planned(0.05)
    assert document["chosen"]["sections"]["speculation"] == {"method": "off"}
    assert document["chosen"]["name"].startswith("off")
    assert any(row["name"] == "draft_model-k1" for row in document["candidates"])


def test_no_load_lies_beyond_what_was_measured() -> None:
    for row in planned(0.9, tpot_s=10.0)["candidates"]:
        assert row["load"] <= 16


def test_a_rate_is_one_that_the_server_keeps_up_with() -> None:
    """Without a limit on the wait a growing queue breaks none: it is seen by itself, and the faster policy carries more."""
    document = planned(0.9, tpot_s=10.0, by="rate")
    logged = traces()
    mix = traffic_mix(logged, parse_mix(None, [trace.label for trace in logged]))
    rates = {row["name"]: row["slo_tokens_per_s"] for row in document["candidates"]}
    assert document["chosen"]["sections"]["speculation"]["method"] == "draft_model"
    assert rates["draft_model-k3"] > 1.15 * rates["off"]
    for name, drafting in (("off", no_drafting()), ("draft_model-k3", mix.drafting(yields(0.9)[3]))):
        most = steady_rate(16, drafting, mix.shape, engines.fitted(noise=0.01)).tokens_per_s
        assert 0.75 * most < rates[name] < 1.1 * most


def test_an_slo_that_nothing_meets_is_said() -> None:
    document = planned(0.9, tpot_s=0.001)
    assert not document["feasible"]
    assert document["gain"]["ratio"] is None
    assert "No policy meets this SLO" in shown(document)


def test_what_vllm_would_refuse_is_no_plan() -> None:
    def allowed(one: Candidate) -> str | None:
        return "not on this device." if one.speculation["method"] != "off" else None

    document = planned(0.9, allowed=allowed)
    assert document["chosen"]["sections"]["speculation"] == {"method": "off"}
    assert document["refused"]["draft_model-k2"] == "not on this device."


def shown(document: Document) -> str:
    whole = document | {
        "flags": ["--model", "x"], "answers": 40, "traces": "t.jsonl",
        "profile": {"measured_at": "today", "directory": "p"}, "unmeasured": [],
    }  # fmt: skip
    console = Console(width=150, record=True, force_terminal=False)
    console.print(plan_table(whole))
    return " ".join(console.export_text().split())


def test_the_table_says_what_to_serve_and_why() -> None:
    text = shown(planned(0.9))
    assert "Serve draft_model-k" in text
    assert "times the tokens per dollar of no speculation (95 %:" in text
    assert "It pays while a decode step makes more than" in text
    assert "Not simulated, their steady rates are lower" not in text  # five candidates in all


def test_a_limit_to_drafting_is_a_schedule_that_vllm_reads() -> None:
    candidate = method_candidates({"draft_model": yields(0.5)}, SECTIONS, LIMITS)["draft_model-k3"]
    found = refined(candidate, pays_up_to=5)
    schedule = found["draft_model-k3, up to 5 sequences"]
    assert schedule.policy.drafts_up_to == 5
    assert schedule.speculation["num_speculative_tokens_per_batch_size"] == [[1, 5, 3], [6, 16, 0]]
    assert found["draft_model-k3, 4 seats"].policy.max_num_seqs == 4
    assert found["draft_model-k3, 256 tokens a step"].batching == {
        "max_num_seqs": 16, "max_num_batched_tokens": 256,
    }  # fmt: skip


def test_a_mix_weighs_classes_by_their_tokens() -> None:
    logged = traces()
    mix = traffic_mix(logged, parse_mix("chat=0.5,copy=0.5", [trace.label for trace in logged]))
    assert mix.shape.output == (61 + 121) / 2
    assert mix.shape.prefilled == (80 + 300) / 2
    assert mix.tokens == {"chat": 30.5, "copy": 60.5}
    assert mix.shape.context == pytest.approx((61 * 110.5 + 121 * 360.5) / 182)


@pytest.mark.parametrize(
    "text",
    [
        "chat",
        "chat=",
        "chat=x",
        "chat=0",
        "chat=.,copy=1",
        "chat=1,,copy=1",
        "chat=1e-3",
        "chat=0.6x",
        "chat=1,chat=2",
    ],
)
def test_no_mix(text: str) -> None:
    with pytest.raises(ConfigError, match="is no mix"):
        parse_mix(text, ["chat", "copy"])


def test_a_class_that_was_not_logged_is_named() -> None:
    with pytest.raises(ConfigError, match="no class 'story'; there are chat, copy"):
        parse_mix("chat=0.5,story=0.5", ["chat", "copy"])


def test_another_model_s_answers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"vocab_size": 200, "architectures": ["LlamaForCausalLM"]}')
    target: Any = SimpleNamespace(name="some-model", served_from=str(tmp_path))
    write_traces(tmp_path / "own.jsonl", traces(copy=0))
    assert len(target_traces(tmp_path / "own.jsonl", target)) == 30
    write_traces(tmp_path / "other.jsonl", traces(copy=0, model="another"))
    with pytest.raises(ConfigError, match="holds answers of another, the target is some-model"):
        target_traces(tmp_path / "other.jsonl", target)
    write_traces(tmp_path / "tokens.jsonl", traces())
    with pytest.raises(ConfigError, match="holds the token 299, and some-model has 200: another tokenizer"):
        target_traces(tmp_path / "tokens.jsonl", target)


def test_a_profile_of_another_target_is_refused(tmp_path: Path) -> None:
    finish_profile(begun(tmp_path, profile(), holds_for=KNOWN), SimulatedRun())
    known = known_profile(tmp_path / "out", SOME)
    assert known.streams == [1, 4, 16]
    assert known.ks == {"ngram": 6}
    assert known.sections() == {"ngram": {"method": "ngram", "prompt_lookup_max": 3}}
    assert known.kv_tokens("ngram", 2) == float("inf")
    assert known.batched_tokens() == 2048
    with pytest.raises(ConfigError, match="is a profile of some-model, the target is other"):
        known_profile(tmp_path / "out", {"name": "other", "sha256": "b"})
    with pytest.raises(ConfigError, match="was not measured on this machine"):
        known_profile(None, {"name": "other", "sha256": "b"}, root=tmp_path)


def test_what_no_valid_window_showed_is_not_planned(tmp_path: Path) -> None:
    finish_profile(begun(tmp_path, profile(), holds_for=KNOWN), SimulatedRun(spoilt=["ngram-k4", "ngram-k6"]))
    assert known_profile(tmp_path / "out", SOME).ks == {"ngram": 2}
    begun(tmp_path, profile(), holds_for=KNOWN, again=True)
    finish_profile(
        begun(tmp_path, profile(), holds_for=KNOWN), SimulatedRun(spoilt=["ngram-k2", "ngram-k4", "ngram-k6"])
    )
    known = known_profile(tmp_path / "out", SOME)
    assert known.sections() == {}
    assert known.unmeasured == ["ngram"]


def test_what_the_server_resolved_limits_the_plan(tmp_path: Path) -> None:
    finish_profile(begun(tmp_path, profile(), holds_for=KNOWN), SimulatedRun())
    run = RunDirectory.open(tmp_path / "out" / "run")
    for block in run.plan().blocks:
        if block.arm in ("off", "ngram-k6"):
            attempt = run.next_attempt(block)
            attempt.write_status("finished")
            blocks = {"off": 101, "ngram-k6": 51}[block.arm]
            resolved = {
                "cache_config.block_size": 128, "cache_config.num_gpu_blocks": blocks,
                "scheduler_config.max_num_batched_tokens": 4096,
            }  # fmt: skip
            write_json(attempt.server / "resolved.json", resolved)
    known = known_profile(tmp_path / "out", SOME)
    assert known.kv_tokens("off", 0) == 100 * 128
    assert known.kv_tokens("ngram", 5) == 50 * 128
    assert known.batched_tokens() == 4096


def test_n_grams_are_replayed_by_class_and_k() -> None:
    logged = traces()
    found = replayed_yields(
        Traffic(Path("unread"), logged), "n", {"method": "ngram"}, [1, 3], target="t", device="cpu",
        report=lambda *_: None,
    )  # fmt: skip
    assert found.keys() == {1, 3}
    # The answers count from 0 as their prompts do: all that is drafted there is right.
    chat = found[3]["chat"]
    assert chat.method == "n"
    assert chat.tokens_per_step > 3
    assert found[1]["copy"].drafted <= 1
    with pytest.raises(ConfigError, match="medusa would have had accepted cannot be replayed"):
        replayed_yields(
            Traffic(Path("unread"), logged), "m", {"method": "medusa", "model": "x"}, [1], target="t", device="cpu",
            report=lambda *_: None,
        )  # fmt: skip


def test_a_plan_is_kept_once_and_its_proof_is_an_experiment(tmp_path: Path) -> None:
    server = {"model": {"name": "smollm2-135m-instruct"}, "batching": {"max_num_seqs": 16}}
    document = planned(0.9) | {
        "server": {**server, "speculation": {"method": "ngram", "num_speculative_tokens": 3}},
        "profiled_server": server, "most_streams": 16, "request_mix": {"chat": 0.75, "copy": 0.25}, "longest_answer": 121,
    }  # fmt: skip
    write_plan(document, tmp_path / "plan")
    assert yaml.safe_load((tmp_path / "plan" / SERVER).read_text()) == document["server"]
    write_plan(document, tmp_path / "plan")
    with pytest.raises(RunError, match="holds another plan"):
        write_plan(document | {"server": server}, tmp_path / "plan")
    price = Price(0.5, "declared", date(2026, 11, 27))
    file = write_proof(document, tmp_path / "plan", workloads=(), budget_h=2.0, price=price)
    experiment = load_experiment(file)
    assert experiment.workloads == ("chat*0.75+copy*0.25",)
    assert experiment.output.max_tokens == 121
    assert list(experiment.arms) == ["default", "plan"]
    assert experiment.arms["default"] == {"model": {"name": "smollm2-135m-instruct"}}
    assert experiment.slo.to_slo() == Slo(None, 0.030)
    assert experiment.loads.capacity is not None
    assert experiment.loads.capacity.highest == 16
    with pytest.raises(ConfigError, match="the budget is 1 min"):
        refuse_beyond_budget(
            budgeted := experiment.model_copy(update={"budget": BudgetSection(hours=1 / 60)}),
            estimate(budgeted, make_plan(budgeted), origin="proof"),
        )


def test_a_proof_may_be_asked_for_otherwise_until_it_has_begun(tmp_path: Path) -> None:
    document = planned(0.9) | {
        "server": {"model": {"name": "m"}}, "profiled_server": {}, "most_streams": 16, "request_mix": {"chat": 1.0},
        "longest_answer": 121,
    }  # fmt: skip
    write_plan(document, tmp_path)

    def asked(hours: float) -> Document:
        file = write_proof(document, tmp_path, workloads=(), budget_h=hours, price=None)
        loaded: Document = yaml.safe_load(file.read_text())
        return loaded

    assert asked(0.5)["budget"] == {"hours": 0.5}
    assert asked(3.0)["budget"] == {"hours": 3.0}
    (tmp_path / "proof").mkdir()
    (tmp_path / "proof" / "plan.json").write_text("{}")
    assert asked(3.0)["workloads"] == ["chat"]
    with pytest.raises(RunError, match="was begun otherwise"):
        asked(4.0)
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        write_plan(document, tmp_path)


def test_a_schedule_is_proved_against_the_best_without_one() -> None:
    document = planned(0.9) | {
        "schedule": True, "server": {"model": {"name": "m"}}, "longest_answer": 121,
    }  # fmt: skip
    document["candidates"][0]["schedule"] = True
    experiment = proof_experiment(
        document,
        {"model": {"name": "m"}},
        workloads=["chat"],
        budget_h=None,
        highest=16,
        price=None,
        base_dir=Path(),
    )
    static = next(row for row in document["candidates"] if not row["schedule"])
    assert experiment["arms"]["static"]["speculation"] == static["sections"]["speculation"]
    assert experiment["arms"]["static"]["batching"] == static["sections"]["batching"]
    row = {"arm": "plan", "workload": "chat", "word": "cannot tell", "cost_ratio": 0.99}
    assert "Do not serve the schedule" in proof_sentence([row], schedule=True)
    assert proof_sentence([row | {"word": "cheaper"}], schedule=True).endswith("0.990 of the default's cost.")


def test_the_steady_rate_and_the_simulation_agree() -> None:
    document = planned(0.9, tpot_s=10.0)
    row = next(row for row in document["candidates"] if row["name"] == "draft_model-k2")
    logged = traces()
    mix = traffic_mix(logged, parse_mix(None, [trace.label for trace in logged]))
    steady = steady_rate(row["load"], mix.drafting(yields(0.9)[2]), mix.shape, engines.fitted(noise=0.01))
    assert row["tokens_per_s"] == pytest.approx(steady.tokens_per_s, rel=0.1)

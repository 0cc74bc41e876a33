from typing import Any

import pytest

from workbench.experiment import Experiment
from workbench.losslessness_scope import NOT_ASKED, NOT_MEASURED, Scope, losslessness_scope
from workbench.plan import GREEDY_PASS_ESTIMATE_S, START_ESTIMATE_S, estimate, make_plan

NGRAM = {"speculation": {"method": "ngram", "num_speculative_tokens": 3}}
SYNTHETIC = NGRAM["speculation"] | {
    "rejection_sample_method": "synthetic",
    "synthetic_acceptance_length": 2.0,
}
RUNNING = {"url": "http://127.0.0.1:8000"}


def experiment(arms: dict[str, Any], **more: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "x",
            "arms": arms,
            "workloads": ["chat"],
            "loads": {"streams": [1]},
            "price": {"usd_per_hour": 3.6, "source": "s", "as_of": "2026-11-22"},
        }
        | more
    )


def scope(arms: dict[str, Any], **more: Any) -> Scope:
    asked = experiment(arms, **more)
    return losslessness_scope(asked, asked.arm_configs(origin="x"))


def test_an_arm_that_speculates_where_the_baseline_does_not_is_asked_and_the_baseline_twice() -> None:
    found = scope({"plain": {}, "ngram": NGRAM, "wide": {"batching": {"max_num_seqs": 8}}})
    assert (found.asked, dict(found.unasked), found.float32) == (("ngram",), {}, ())
    assert [found.passes(arm) for arm in ("plain", "ngram", "wide")] == [2, 1, 0]


def test_nobody_is_asked_where_nobody_speculates() -> None:
    found = scope({"plain": {}, "wide": {"batching": {"max_num_seqs": 8}}})
    assert (found.asked, dict(found.unasked), found.passes("plain")) == ((), {}, 0)


@pytest.mark.parametrize(
    ("own", "named"),
    [
        ({"model": {"dtype": "float16"}}, "model.dtype"),
        ({"model": {"quantization": "fp8"}}, "model.quantization"),
        ({"kv_cache": {"dtype": "fp8"}}, "kv_cache.dtype"),
        ({"model": "another"}, "model"),
        ({"engine": {"extra_args": ["--dtype", "half"]}}, "engine.extra_args"),
        ({"speculation": SYNTHETIC}, "speculation.rejection_sample_method"),
    ],
)
def test_an_arm_of_other_numerics_owes_a_quality_instead(own: dict[str, Any], named: str) -> None:
    found = scope({"plain": {}, "ngram": NGRAM | own})
    assert found.asked == ()
    assert found.unasked["ngram"] == (NOT_ASKED, f"its numerics differ from the baseline's ({named})")
    assert found.passes("plain") == 0, "nobody needs its texts"


def test_a_baseline_that_speculates_is_no_measure() -> None:
    found = scope({"one": NGRAM, "plain": {}, "two": NGRAM, "running": RUNNING})
    assert found.asked == ()
    assert found.unasked.keys() == {"one", "two"}
    assert {word for word, _ in found.unasked.values()} == {NOT_MEASURED}
    assert "it is the baseline" in found.unasked["one"][1]
    assert "the baseline one speculates itself" in found.unasked["two"][1]


def test_switched_off_is_said_of_every_arm_that_speculates() -> None:
    found = scope({"plain": {}, "ngram": NGRAM, "running": RUNNING}, losslessness="off")
    assert dict(found.unasked) == {"ngram": (NOT_ASKED, "the experiment says `losslessness: off`")}
    assert (found.asked, found.passes("plain")) == ((), 0)


def test_a_server_that_runs_already_may_speculate_but_is_never_started_in_float32() -> None:
    found = scope({"plain": {}, "running": RUNNING}, losslessness={"float32": True})
    assert (found.asked, found.float32) == (("running",), ())
    both = scope({"plain": {}, "running": RUNNING, "ngram": NGRAM}, losslessness={"float32": True})
    assert both.float32 == ("plain", "ngram")
    theirs = scope({"running": RUNNING, "ngram": NGRAM}, losslessness={"float32": True})
    assert (theirs.asked, theirs.float32) == (("ngram",), ())


def test_float32_lives_come_last_the_baselines_first_and_not_for_what_is_float32_anyway() -> None:
    arms = {"ngram": NGRAM, "plain": {}, "wide": {"batching": {"max_num_seqs": 8}}}
    asked = experiment(arms, baseline="plain", losslessness={"float32": True})
    plan = make_plan(asked)
    assert [(b.block_id, b.arm, b.repeat, b.cells) for b in plan.lossless] == [
        ("lossless-plain", "plain", 0, ()),
        ("lossless-ngram", "ngram", 0, ()),
    ]
    anyway = experiment(arms, baseline="plain", losslessness={"float32": True},
                        server={"model": {"dtype": "float32"}})  # fmt: skip
    assert make_plan(anyway).lossless == ()
    assert make_plan(experiment(arms, baseline="plain")).lossless == (), (
        "off by default: it takes lives of its own"
    )


def test_the_estimate_counts_passes_and_the_starts_of_float32_lives() -> None:
    arms = {"plain": {}, "ngram": NGRAM}
    off, on, also = (
        experiment(arms, losslessness=asked) for asked in ("off", {}, {"float32": True, "max_tokens": 64})
    )
    without, with_texts, with_both = (estimate(each, make_plan(each)) for each in (off, on, also))
    a_pass = GREEDY_PASS_ESTIMATE_S[False]
    assert without.lossless_s == 0
    assert with_texts.lossless_s == 3 * a_pass
    assert with_both.lossless_s == 2 * 6 * a_pass + 2 * START_ESTIMATE_S[1]
    assert with_both.duration_s == without.duration_s + with_both.lossless_s
    assert with_both.start_s == pytest.approx(without.start_s)

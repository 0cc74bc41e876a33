"""`kilotoken profile`: what a file may say, which server lives it becomes, and what is fitted to their windows."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from accounting.errors import ConfigError, KilotokenError, MachineError, RunError
from accounting.planning.step_cost import StepWork
from drafts.replay.traces import read_traces
from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing
from tests.accounting.planning import engines
from tests.workbench.planning.simulated_profile import SimulatedRun
from workbench.cli import app
from workbench.experiment import AttachSection, Experiment, load_experiment
from workbench.planning.known_answers import ask_known_answers, wanted_answers
from workbench.planning.measured_steps import MeasuredStep
from workbench.planning.profile_arms import profile_experiment
from workbench.planning.profile_command import BegunProfile, begin_profile, finish_profile
from workbench.planning.profile_file import Profile, load_profile
from workbench.planning.profile_table import profile_table
from workbench.planning.step_cost_file import FILE, cost_of, fitted_document, read_step_cost
from workbench.provenance import hardware
from workbench.server_under_test import attached_server

NGRAM = {"method": "ngram", "prompt_lookup_max": 3}
HOLDS_FOR: dict[str, Any] = {"target": {"name": "some-model"}, "machine": hardware()}


def profile(**changes: Any) -> Profile:
    """N-grams at three k, and the oracle."""
    return Profile.model_validate({"drafters": {"ngram": NGRAM}, "k": [2, 4, 6], **changes})


def told(out: Path) -> None:
    """In place of the target."""
    out.write_text("")


def begun(
    directory: Path, asked: Profile, *, again: bool = False, holds_for: dict[str, Any] = HOLDS_FOR
) -> BegunProfile:
    return begin_profile(
        asked,
        holds_for,
        base_dir=directory,
        out=directory / "out",
        again=again,
        say=lambda _: None,
        check=load_experiment,
        answers=told,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def test_a_server_s_own_drafter_is_profiled_at_the_profile_s_k(config: Path) -> None:
    config.write_text("speculation: {method: ngram, num_speculative_tokens: 5, prompt_lookup_max: 3}\n")
    found = load_profile(config)
    assert found.drafters == {"ngram": NGRAM}
    assert found.k == (1, 3, 6)
    config.write_text("model: smollm2-135m-instruct\n")
    assert load_profile(config) == Profile(server={"model": "smollm2-135m-instruct"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: {speculation: {method: off}}", "the drafters stand in `drafters`"),
        ("drafters: {oracle: {method: ngram}}", "this name is kilotoken's own"),
        ("drafters: {n: {method: ngram, num_speculative_tokens: 2}}", "the draft lengths stand in `k`"),
        ("drafters: {n: {method: ngramm}}", "n-k1: speculation"),
        ("drafters: {n: {method: ngram}}\nk: [2, 2]", "k: none twice"),
        ("drafters: {n: {method: custom_class, model: a.B}}", "cannot be replayed"),
        ("drafters: {n: {method: ngram, rejection_sample_method: block}}", "judged by the target"),
        ("drafters: {n: {method: ngram}}\nwindow_s: 10", "window_s"),
        (
            "server: {}\noracle: off\nstreams: [1, 2]",
            "4 windows cannot tell 5 parts of a step apart; 7 are the least",
        ),
        ("drafters: {n: {method: ngram}}\nstreams: [4]", "streams"),
        ("drafters: {n: {method: ngram}}\noracle: {acceptance: [1.5]}", "oracle"),
        ("server: {modle: x}", "modle"),
    ],
)
def test_what_a_file_may_not_say(config: Path, text: str, said: str) -> None:
    config.write_text(text + "\n")
    with pytest.raises(ConfigError, match=said):
        load_profile(config)


def test_each_k_and_acceptance_is_a_server_life(tmp_path: Path) -> None:
    asked = profile(oracle={"acceptance": [0, 1], "k": [3]}, server={"engine": {"environment": {"A": "b"}}})
    made = begun(tmp_path, asked)
    arms = {arm.name: arm for arm in made.arms}
    assert list(arms) == ["off", "ngram-k2", "ngram-k4", "ngram-k6", "oracle-k3-at-0", "oracle-k3-at-1"]
    environment = arms["oracle-k3-at-0"].own["engine"]["environment"]
    assert environment["A"] == "b"
    assert environment["KILOTOKEN_ORACLE_ACCEPTANCE"] == "0"
    assert Path(environment["KILOTOKEN_ORACLE_ANSWERS"]) == tmp_path / "out" / "answers.jsonl"
    directory = Path(arms["oracle-k3-at-0"].own["speculation"]["python_path"])
    assert (directory / "oracle_proposer.py").is_file()


def test_planted_costs_are_found_and_kept(tmp_path: Path) -> None:
    run = SimulatedRun()
    document = finish_profile(begun(tmp_path, profile()), run)
    parts = dict(cost_of(document).parts)
    assert parts["judged token"] == pytest.approx(engines.JUDGED_S, rel=1e-3)
    assert parts["ngram: sequence"] == pytest.approx(engines.LOOKUP_SEQUENCE_S, rel=1e-3)
    assert parts["prefilled token"] == pytest.approx(engines.PREFILLED_S, rel=1e-3)
    assert len(document["windows"]) == 7 * 2 * 3
    assert max(abs(window["error"]) for window in document["windows"]) < 1e-3
    again = begun(tmp_path, profile())
    assert again.known is not None
    assert finish_profile(again, run) == document
    assert run.runs == 1
    finish_profile(begun(tmp_path, profile(), again=True), run)
    assert run.runs == 2
    (before,) = tmp_path.glob("out-before-*")
    assert read_step_cost(before) == document, "what was measured is kept until something else was"


def test_asking_again_for_what_was_interrupted_goes_on(tmp_path: Path) -> None:
    begun(tmp_path, profile(), again=True)
    (tmp_path / "out" / "answers.jsonl").write_text("told once")
    begun(tmp_path, profile(), again=True)
    assert (tmp_path / "out" / "answers.jsonl").read_text() == "told once"
    assert not list(tmp_path.glob("out-before-*"))


def test_drafting_is_held_against_windows_without_it(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no window without drafting was valid"):
        finish_profile(begun(tmp_path, profile()), SimulatedRun(spoilt=["off"]))


def test_windows_that_do_not_count_are_said(tmp_path: Path) -> None:
    document = finish_profile(begun(tmp_path, profile()), SimulatedRun(spoilt=["ngram-k4"]))
    assert [row["reason"] for row in document["left_out"]] == [
        "its throughput is noisy_host: steal of 12 %"
    ] * 6
    console = Console(width=140, record=True, force_terminal=False)
    console.print(profile_table(document, tmp_path))
    text = console.export_text()
    assert "6 windows left out: its throughput is noisy_host: steal of 12 %" in text
    assert "some-model: what a step takes" in text
    assert "B = 16" in text


def test_too_few_windows_are_no_costs() -> None:
    window = MeasuredStep("off", "chat", 1, StepWork(sequences=1), 0.01)
    with pytest.raises(MachineError, match="2 windows with a step's time tell nothing apart"):
        fitted_document([window] * 2, [], {})


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    finish_profile(begun(tmp_path, profile()), SimulatedRun())
    with pytest.raises(RunError, match=r"holds a profile of something else \(machine\)"):
        begun(tmp_path, profile(), again=True, holds_for=HOLDS_FOR | {"machine": {"cpu": "another"}})
    assert read_step_cost(tmp_path / "out")["arms"]["ngram-k4"] == {"drafter": "ngram", "k": 4, "passes": 0.0}
    (tmp_path / "out" / "profile.json").unlink()
    with pytest.raises(RunError, match="is no profile"):
        begun(tmp_path, profile(), again=True)
    assert (tmp_path / "out" / FILE).is_file()


def test_a_damaged_result_is_said(tmp_path: Path) -> None:
    document = finish_profile(begun(tmp_path, profile()), SimulatedRun())
    del document["cost"]["misfit"]
    with pytest.raises(RunError, match=r"is damaged \(cost\)"):
        cost_of(document)
    (tmp_path / "out" / FILE).write_text("{}")
    with pytest.raises(RunError, match="is no kilotoken-step-cost"):
        read_step_cost(tmp_path / "out")


def test_the_target_says_what_the_oracle_drafts(tmp_path: Path) -> None:
    document = profile_experiment(profile(streams=[1, 2]), [], base_dir=tmp_path)
    wanted = wanted_answers(Experiment.model_validate({**document, "arms": {"off": {}}}))
    assert wanted.least == (1 + 2) * 4 * 2
    assert wanted.longest_s == 1.5 * 4 * 35
    with (
        RunningFakeServer(FakeServerConfig(timing=Timing(ttft_s=0, tpot_s=0))) as fake,
        attached_server(AttachSection(url=fake.url)) as server,
    ):
        ask_known_answers(
            server, wanted, max_tokens=12, beyond=4, out=tmp_path / "a" / "answers.jsonl", say=lambda _: None,
            clock=count(step=wanted.longest_s).__next__,
        )  # fmt: skip
    traces = read_traces(tmp_path / "a" / "answers.jsonl")
    first = {prompt.prompt_id for prompt in wanted.prompts[: wanted.least]}
    assert {trace.id for trace in traces} == first, "the others only while there is time"
    assert {trace.label for trace in traces} == {"chat", "copy"}
    assert all(len(trace.beyond_token_ids) == 4 for trace in traces)


def test_a_dry_run_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profile.yaml").write_text("drafters: {ngram: {method: ngram}}\n")
    done = CliRunner().invoke(app, ["profile", "profile.yaml", "--dry-run"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "42 cells in 7 server lives" in " ".join(done.output.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["profile.yaml"]
    refused = CliRunner().invoke(app, ["profile", "missing.yaml"])
    assert isinstance(refused.exception, KilotokenError)

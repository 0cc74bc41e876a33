"""What `kilotoken price` refuses: options that contradict or would be ignored, runs that are damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accounting.errors import ConfigError, RunError
from tests.workbench.priced_runs import Make, maker, priced, refused

API = ("--api-usd-per-1m-output", "10")


@pytest.fixture
def make_run(tmp_path: Path) -> Make:
    return maker(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--usd-per-hour 0", "positive number"),
        ("--usd-per-hour=-1", "positive number"),
        ("--duty-cycle 1.5", "a duty cycle is a share"),
        ("--usd-per-hour 1 --price aws-p5-h100", "two prices"),
        ("--usd-per-hour 1 --buy-usd 100", "rented or bought"),
        ("--price lambda-h100-1x --devices 0", "--devices: a box has at least one device, not 0."),
        ("--usd-per-kwh 0.1", "did not measure what it drew"),
        ("--buy-usd 100 --usd-per-kwh 0.1", "did not measure what it drew"),
        ("--buy-usd 100", "needs --usd-per-kwh"),
        ("--buy-usd 100 --usd-per-kwh 0.1 --busy-watts 1 --idle-watts 2", "at least as much busy"),
        ("--buy-usd 100 --usd-per-kwh 0.1 --busy-watts=-1", "--busy-watts must be a number of at least 0"),
        ("--usd-per-kwh 0", "--usd-per-kwh must be a positive number, not 0."),
        ("--usd-per-kwh nan", "--usd-per-kwh must be a positive number, not nan."),
        (
            "--usd-per-kwh us-comercial",
            "no row 'us-comercial' in [[electricity]]; the nearest name is us-commercial.",
        ),
        ("--usd-per-kwh pue-aws", "pue-aws is a row of [[pue]], not of [[electricity]]."),
        ("--usd-per-kwh 0.1 --pue 0.9", "at least 1, not 0.9"),
        ("--devices 8", "--devices goes with --price only: alone it would be ignored."),
        ("--years 3", "--years goes with --buy-usd only"),
        ("--pue 1.2", "--pue goes with --usd-per-kwh only"),
        ("--idle-watts 100", "--idle-watts goes with --usd-per-kwh only"),
        ("--busy-watts 100", "--busy-watts goes with --usd-per-kwh only"),
        ("--start-up-s 100", "--start-up-s goes with --starts-per-day only"),
        ("--api-usd-per-1m-input 3", "--api-usd-per-1m-input goes with --api-usd-per-1m-output only"),
        ("--api-usd-per-1m-cached 3", "--api-usd-per-1m-cached goes with --api-usd-per-1m-output only"),
        ("--api-usd-per-1m-output 10", "needs --api-usd-per-1m-input"),
        ("--api-usd-per-1m-output 0 --api-usd-per-1m-input 0", "must be a positive number"),
        ("--api-usd-per-1m-output 1 --api-usd-per-1m-input=-1", "must be a number of at least 0"),
        ("--api some --api-usd-per-1m-output 1", "are two prices"),
        ("--api some", "There is no row 'some' in [[api]]."),
        ("--starts-per-day=-1", "--starts-per-day must be a number of at least 0, not -1."),
        (
            "--duty-cycle 0.1 --starts-per-day 24 --start-up-s 600",
            "starts take 4 hours of a day, and the box is busy 2.4, starts included",
        ),
        ("--route-share 0.5", "needs the larger server's run"),
    ],
)
def test_options_that_contradict_or_would_be_ignored(make_run: Make, options: str, message: str) -> None:
    error = refused(make_run(), *options.split())
    assert isinstance(error, ConfigError)
    assert message in error.message


def test_a_share_of_answers_is_a_share(make_run: Make) -> None:
    other = make_run("other")
    error = refused(make_run(), "--route-share", "2", "--against", str(other))
    assert "between 0 and 1" in str(error)


def test_starts_of_a_server_that_ran_already_are_not_free(make_run: Make) -> None:
    run, other = make_run(startup_s=None), make_run("other")
    error = refused(run, "--starts-per-day", "24")
    assert isinstance(error, ConfigError)
    assert f"{run} does not say how long its servers take to start" in error.message
    assert "--start-up-s" in error.hint
    terms = priced(run, "--starts-per-day", "24", "--start-up-s", "360")["terms"]
    assert terms["start_up_share"] == pytest.approx(0.1)
    both = ("--against", str(run), "--route-share", "0.5", "--starts-per-day", "24")
    assert f"{run} does not say" in str(refused(other, *both)), "the larger one's starts are not free either"


def test_input_that_was_not_counted_has_no_price(make_run: Make) -> None:
    uncounted = make_run(change=lambda one: one.update(prompt_tokens=None, cached_prompt_tokens=None))
    for amounts in (("1",), ("0", "--api-usd-per-1m-cached", "1")):
        error = refused(uncounted, *API, "--api-usd-per-1m-input", *amounts)
        assert "does not say how many input tokens came with its output" in str(error)
    assert priced(uncounted, *API, "--api-usd-per-1m-input", "0")["break_even"]
    uncached = make_run("uncached", change=lambda one: one.update(cached_prompt_tokens=None))
    assert priced(uncached, *API, "--api-usd-per-1m-input", "1")["break_even"]
    error = refused(uncached, *API, "--api-usd-per-1m-input", "1", "--api-usd-per-1m-cached", "1")
    assert "does not say how many of its input tokens were cached" in str(error)


def test_a_run_without_a_cell_that_counts_has_no_price(make_run: Make) -> None:
    run, noisy = make_run(), make_run("noisy", verdict="noisy_host")
    for path, rest in ((noisy, ()), (run, ("--against", str(noisy)))):
        error = refused(path, *rest)
        assert isinstance(error, RunError)
        assert error.message.startswith(f"{noisy} has no cell whose throughput is valid")
    piloting = make_run("piloting", count="pairs: {pilot: 2, most: 4}")
    assert "valid beyond its pilot" in str(refused(piloting))


def test_a_run_of_other_workloads_is_no_comparison(make_run: Make) -> None:
    other = make_run("other", change=lambda one: one.update(workload="copy"))
    error = refused(make_run(), "--against", str(other))
    assert isinstance(error, ConfigError)
    assert error.message == f"{other} measured none of this run's workloads: copy there, chat here."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("{}", "is damaged: Object missing required field `cells`"),
        ("[]", "is damaged: Expected `object`, got `array`"),
        ('{"cells": [1]}', "is damaged: Expected `object`, got `int` - at `$.cells[0]`"),
        ("no verdict", "is damaged: Object missing required field `verdict` - at `$.cells[0]`"),
        ("no load", "is damaged: a cell says its load, or its streams - at `$.cells[0]`"),
        ("no window", "is damaged: a valid cell has a window of more than 0 s - at `$.cells[0]`"),
    ],
)
def test_damaged_measures_are_named(make_run: Make, text: str, message: str) -> None:
    run, sound = make_run(), make_run("sound")
    measures = run / "measures.json"
    if text.startswith("no "):
        document = json.loads(measures.read_text())
        cell = document["cells"][0]
        for key in {"no verdict": ["verdict"], "no load": ["load", "streams"], "no window": []}[text]:
            del cell[key]
        cell["window_s"] = 0 if text == "no window" else cell["window_s"]
        text = json.dumps(document)
    measures.write_text(text)
    for path, rest in ((run, ()), (sound, ("--against", str(run)))):
        error = refused(path, *rest)
        assert isinstance(error, RunError)
        assert error.message.startswith(f"{measures} ")
        assert message in error.message
        assert "kilotoken report" in error.hint


def test_a_damaged_block_and_a_lost_question_are_named(make_run: Make) -> None:
    run = make_run()
    block = next((run / "blocks").glob("*/block.json"))
    for text in ("{", "[]", '{"startup_s": "x"}', "\xff"):
        block.write_bytes(text.encode("latin-1"))
        error = refused(run)
        assert isinstance(error, RunError)
        assert error.message.startswith(f"{block} is damaged: ")
    assert priced(run, "--starts-per-day", "24", "--start-up-s", "60")["terms"]["start_up_s"] == 60.0
    (run / "experiment.yaml").unlink()
    error = refused(run)
    assert isinstance(error, RunError)
    assert error.message.startswith(f"{run / 'experiment.yaml'} cannot be read: ")
    assert "resume" not in error.hint


def test_a_damaged_number_of_pairs_is_named(make_run: Make) -> None:
    run = make_run()
    for text in ("{", "{}", "[]"):
        (run / "pairs.json").write_text(text)
        error = refused(run)
        assert isinstance(error, RunError)
        assert error.message.startswith(f"{run / 'pairs.json'} ")


def test_a_runs_price_of_tomorrow_is_refused(make_run: Make) -> None:
    late = make_run("late", as_of="2999-01-01")
    for path, rest in ((late, ()), (make_run(), ("--against", str(late)))):
        error = refused(path, *rest)
        assert isinstance(error, ConfigError)
        assert error.message.startswith(
            f"{late}: the run's own price is of 2999-01-01, which is after today ("
        )

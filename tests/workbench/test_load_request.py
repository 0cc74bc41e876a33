"""What the options of `kilotoken load` mean, and that each mistake is told by its option before anything is sent."""

from typing import Any

import pytest

from accounting.errors import ConfigError
from loadtest.config import ClosedLoop, LoadSpec, OpenLoop, Output, RateSegment, Replay
from loadtest.workloads.prompt import Sampling
from workbench.cli import app
from workbench.load_request import LoadRequest

# Nobody listens there: an option that is checked only when the server is asked ends as a ServerError instead.
NOBODY = ("load", "--url", "http://127.0.0.1:1")


def spec(**options: Any) -> LoadSpec:
    return LoadRequest(**options).spec(base_url="http://x", model="m", vllm_extensions=True, records_dir="r")


def test_a_closed_loop_waits_for_answers_of_every_stream() -> None:
    told = spec(streams=8, think_time_s=0.5, duration_s=10.0)
    assert told.arrivals == ClosedLoop(8, 0.5)
    assert (told.stages.window_s, told.stages.window_limit_s, told.stages.completions) == (10.0, 40.0, 24)
    assert told.workload == "chat"
    assert told.output == Output("free", 128)


def test_a_plain_rate_ramps_and_a_profile_is_measured_whole() -> None:
    plain = spec(rate="5", arrivals="gamma:2")
    assert plain.arrivals == OpenLoop((RateSegment(5.0, 5.0, 0.0),), 2.0)
    assert (plain.stages.ramp_s, plain.stages.window_s) == (2.0, 30.0)
    profile = spec(rate="2@10s,2-8@5s")
    assert (profile.stages.ramp_s, profile.stages.window_s) == (0.0, 15.0)
    assert spec(rate="2@30").stages.window_s == 30.0, "a duration without a unit is seconds"
    assert spec(rate="5", ramp_s=7.0).stages.ramp_s == 7.0


def test_a_number_of_requests_ends_the_window_and_all_of_them_are_in_it() -> None:
    told = spec(rate="5", requests=40)
    assert (told.stages.requests, told.stages.ramp_s) == (40, 0.0)
    assert told.stages.window_limit_s > 3600, "they may take as long as they need"


def test_a_trace_says_itself_what_is_asked_and_how_long_answers_are() -> None:
    told = spec(trace="azure:x.csv", speed=4.0, duration_s=60.0)
    assert told.arrivals == Replay(speed=4.0, duration_s=240.0), "60 s of load are 240 s of the trace"
    assert told.workload == "azure:x.csv"
    assert told.endpoint == "completions"
    assert told.output.kind == "fixed"
    assert spec(trace="azure:x.csv").stages.window_limit_s > 3600


def test_how_long_answers_are() -> None:
    assert spec(streams=1, output="fixed:7").output == Output("fixed", 7)
    assert spec(streams=1, output="fixed", max_tokens=9).output == Output("fixed", 9)
    assert spec(streams=1, output="natural", max_tokens=50).output == Output("natural", 50)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "how much load?"),
        ({"streams": 1, "rate": "1"}, "--streams and --rate were given together"),
        ({"rate": "1", "trace": "x"}, "--rate and --trace were given together"),
        ({"streams": 1, "duration_s": 1.0, "requests": 1}, "--duration and --requests were given together"),
        ({"streams": 1, "duration_s": float("inf")}, "--duration inf cannot be used"),
        ({"streams": 1, "timeout_s": float("nan")}, "--timeout nan cannot be used"),
        ({"rate": "abc"}, "--rate 'abc'"),
        ({"rate": "2@30x"}, "the unit 'x' is unknown"),
        ({"rate": "0"}, "--rate: every rate is 0"),
        ({"rate": "1", "arrivals": "possion"}, "--arrivals 'possion'"),
        ({"rate": "1", "think_time_s": 1.0}, "--think-time was given without --streams"),
        ({"streams": 1, "arrivals": "poisson"}, "--arrivals was given without --rate"),
        ({"streams": 1, "ramp_s": 1.0}, "--ramp was given without --rate"),
        ({"streams": 1, "speed": 2.0}, "--speed was given without --trace"),
        ({"rate": "1", "requests": 5, "ramp_s": 1.0}, "--ramp and --requests were given together"),
        ({"trace": "x.csv", "workload": "chat"}, "--trace and --workload were given together"),
        ({"streams": 1, "endpoint": "chatt"}, "--endpoint chatt"),
        ({"streams": 1, "output": "natral"}, "--output natral"),
        ({"streams": 1, "output": "fixed:0"}, "--output fixed:0"),
        ({"streams": 1, "output": "fixed:5", "max_tokens": 9}, "--output fixed:5 and --max-tokens 9"),
        ({"streams": 1, "sampling": Sampling(top_p=0.0)}, "--top-p is 0.0"),
        ({"streams": 1, "sampling": Sampling(temperature=3.0)}, "--temperature is 3.0"),
        ({"streams": 1, "sampling": Sampling(top_k=-5)}, "--top-k is -5"),
    ],
)
def test_a_mistake_names_its_option(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        spec(**options)
    assert says in raised.value.message
    assert raised.value.message.endswith((".", "?")), "message and hint are printed in a row"
    assert not raised.value.hint or raised.value.hint.endswith((".", "?"))


def test_the_nearest_word_is_offered() -> None:
    for options, nearest in (
        ({"streams": 1, "output": "natral"}, "natural"),
        ({"streams": 1, "output": "fixd:3"}, "fixed"),
        ({"streams": 1, "endpoint": "completion"}, "completions"),
        ({"rate": "1", "arrivals": "possion"}, "'poisson'"),
    ):
        with pytest.raises(ConfigError) as raised:
            spec(**options)
        assert raised.value.hint == f"Did you mean {nearest}?"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*NOBODY, "--streams", "2", "--workload", "chta"), "There is no workload 'chta'"),
        ((*NOBODY, "--trace", "nofile"), "There is no workload 'nofile'"),
        ((*NOBODY, "--trace", "nofile.csv"), "nofile.csv"),
        ((*NOBODY, "--trace", "chat"), "--trace: the workload cannot be replayed"),
        ((*NOBODY, "--streams", "2", "--workload", "synthetic:input=9,output=3"), "exact tokens"),
        ((*NOBODY, "--streams", "2", "--workers", "1", "--bind", "here"), "--bind 'here' is not HOST:PORT"),
        ((*NOBODY, "--streams", "2", "--bind", "127.0.0.1:99"), "--bind was given without --workers"),
        ((*NOBODY, "--streams", "2", "--workers", "2", "--processes", "2"), "--workers and --processes"),
        ((*NOBODY, "--streams", "2", "--api-key-env", "KILOTOKEN_NO_SUCH"), "KILOTOKEN_NO_SUCH is not set"),
        (("load", "--url", "127.0.0.1:8000", "--streams", "2"), "no address of a server"),
        (("load", "--url", "ftp://127.0.0.1:8000", "--streams", "2"), "no address of a server"),
        (("load-worker", "somewhere"), "MASTER 'somewhere' is not HOST:PORT"),
        (("load-worker", "127.0.0.1:5557", "--api-key-env", "KILOTOKEN_NO_SUCH"), "is not set"),
    ],
)
def test_a_mistake_is_found_before_the_server_is_asked(
    arguments: tuple[str, ...], says: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as raised:
        app(list(arguments), standalone_mode=False)
    assert says in raised.value.message
    assert not list(tmp_path.iterdir()), "nothing is left behind"

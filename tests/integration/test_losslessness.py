"""`kilotoken losslessness` as a user calls it: an honest speculating server passes, one wrong token in 500 does not."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.fake_server import FakeServerConfig, RunningFakeServer, Timing, parse_fault_script

Command = Callable[..., "subprocess.CompletedProcess[str]"]

PLAIN = Timing(ttft_s=0, tpot_s=0)
SPECULATING = Timing(ttft_s=0, tpot_s=0, tokens_per_chunk=(1, 4))
LOSSY = parse_fault_script([{"kind": "wrong_token", "one_in": 500}])


@pytest.fixture(scope="module")
def baseline() -> Iterator[str]:
    with RunningFakeServer(FakeServerConfig(timing=PLAIN)) as running:
        yield running.url


def against(
    kilotoken: Command, baseline: str, config: FakeServerConfig, *more: object
) -> "subprocess.CompletedProcess[str]":
    with RunningFakeServer(config) as candidate:
        return kilotoken("losslessness", "--baseline", baseline, "--candidate", candidate.url, *more)


def test_an_honest_speculating_server_is_lossless(kilotoken: Command, baseline: str, tmp_path: Path) -> None:
    done = against(
        kilotoken,
        baseline,
        FakeServerConfig(timing=SPECULATING),
        "--tokens",
        32,
        "--json",
        "--out",
        "it.json",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document == json.loads((tmp_path / "it.json").read_text())
    assert document["verdict"] == "lossless"
    assert (document["candidate"]["agreeing"], document["candidate"]["tokens_compared"]) == (100, 3200)
    assert document["candidate"]["power"] > 0.99
    speculation = {label: server["speculation"] for label, server in document["servers"].items()}
    assert speculation == {"baseline": "off", "candidate": "ngram, 3 tokens"}


@pytest.mark.parametrize("more", [("--tokens", 32), ("--stop-at-end", "--workload", "chat*0.5+copy*0.5")])
def test_one_wrong_token_in_500_fails(kilotoken: Command, baseline: str, more: tuple[object, ...]) -> None:
    done = against(kilotoken, baseline, FakeServerConfig(timing=SPECULATING, faults=LOSSY), *more, "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["verdict"] == "lossy"
    assert 1 <= document["candidate"]["unexcused"] <= 30
    first = document["candidate"]["divergences"][0]
    assert not first["excused"]
    assert first["prompt"].startswith(("chat", "copy"))
    assert document["baseline_again"]["divergences"] == []


def test_the_table_names_the_verdict_and_what_diverged(kilotoken: Command, baseline: str) -> None:
    done = against(kilotoken, baseline, FakeServerConfig(timing=SPECULATING, faults=LOSSY), "--tokens", 32)
    assert done.returncode == 3
    assert done.stdout.startswith("lossy: ")
    assert "instead of" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 150


def test_too_little_to_tell_is_said_and_has_its_own_status(kilotoken: Command, baseline: str) -> None:
    done = against(kilotoken, baseline, FakeServerConfig(timing=SPECULATING), "--tokens", 8)
    assert done.returncode == 4
    assert "cannot tell" in done.stdout


@pytest.mark.parametrize(
    ("config", "more", "code", "said"),
    [
        (FakeServerConfig(model="another"), (), 2, "different models"),
        (FakeServerConfig(), ("--prompts", 99), 2, "at least 100"),
        (FakeServerConfig(), ("--prompts", 100000), 2, "measured prompts"),
        (FakeServerConfig(), ("--again-concurrency", 8), 2, "both 8"),
        (FakeServerConfig(faults=parse_fault_script([{"kind": "status", "status": 500}])), (), 5, "HTTP 500"),
        (FakeServerConfig(), ("--out", "gone/it.json"), 7, "cannot be written"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    kilotoken: Command,
    baseline: str,
    config: FakeServerConfig,
    more: tuple[object, ...],
    code: int,
    said: str,
) -> None:
    done = against(kilotoken, baseline, config, *more)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_swapped_baseline_and_a_server_with_itself_are_refused(kilotoken: Command, baseline: str) -> None:
    with RunningFakeServer(FakeServerConfig(timing=SPECULATING)) as candidate:
        swapped = kilotoken("losslessness", "--baseline", candidate.url, "--candidate", baseline)
    assert (swapped.returncode, "swap" in swapped.stderr) == (2, True)
    alone = kilotoken("losslessness", "--baseline", baseline, "--candidate", baseline)
    assert (alone.returncode, "same server" in alone.stderr) == (2, True)

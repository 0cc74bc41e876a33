"""Judging and searching on made-up levels, keeping the result, and one real level end to end."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from accounting.errors import LoadError
from loadtest.exact_server import Lateness, LatenessSummary
from workbench import calibrate_command
from workbench.calibration import (
    Calibration,
    Fingerprint,
    Level,
    calibration_path,
    fingerprint,
    judged,
    load_calibration,
    save_calibration,
    search,
)

TOKENS_PER_STREAM = 48.5


def level(streams: int, **changes: Any) -> Level:
    good: dict[str, Any] = {
        "streams": streams,
        "answers": 900,
        "failed": 0,
        "offered_tokens_per_s": streams * TOKENS_PER_STREAM,
        "tokens_per_s": streams * TOKENS_PER_STREAM * 0.995,
        "ttft_error_p50_ms": 0.2,
        "ttft_error_p99_ms": 2.0,
        "voided_ttft_share": 0.0,
        "client_lag_p99_ms": 3.0,
        "server_first_lateness_p99_ms": 0.2,
        "server_lateness_p99_ms": 0.1,
        "server_cores": 0.1,
        "server_scheduling": "default",
    }
    return judged(Level(**(good | changes)))


def up_to(limit: int, asked: list[int], **trouble: Any) -> Callable[[int], Level]:
    def measure(streams: int) -> Level:
        asked.append(streams)
        return level(streams, **({} if streams <= limit else trouble or {"ttft_error_p99_ms": 9.0}))

    return measure


@pytest.mark.parametrize(
    ("changes", "client", "server"),
    [
        ({}, "", ""),
        ({"ttft_error_p50_ms": 1.01}, "TTFT error p50 1.01 ms, 1 ms may be", ""),
        ({"ttft_error_p50_ms": -1.5}, "TTFT error p50 -1.50 ms", ""),
        ({"ttft_error_p99_ms": 5.1}, "TTFT error p99 5.10 ms, 5 ms may be", ""),
        ({"ttft_error_p99_ms": None}, "p99 is not known: too few answers", ""),
        ({"failed": 2}, "2 requests failed", ""),
        ({"tokens_per_s": 0.97 * 100 * TOKENS_PER_STREAM}, "97.0% of the offered tokens came", ""),
        ({"tokens_per_s": None}, "tokens/s are not known", ""),
        ({"voided_ttft_share": 0.02}, "2.0% of first tokens shared a read", ""),
        ({"server_lateness_p99_ms": 1.2}, "", "tokens late at p99 1.20 ms, 1 ms may be"),
        ({"server_first_lateness_p99_ms": 1.2}, "", "first tokens late at p99 1.20 ms, 1 ms may be"),
    ],
)
def test_a_level_is_judged_by_the_client_and_by_the_server_apart(
    changes: dict[str, Any], client: str, server: str
) -> None:
    found = level(100, **changes)
    assert client in found.client_problem
    assert server in found.server_problem
    assert (bool(found.client_problem), bool(found.server_problem)) == (bool(client), bool(server))
    assert found.passed is not (bool(client) or bool(server))


def test_the_search_doubles_then_halves_the_gap() -> None:
    asked: list[int] = []
    tokens_per_s, reason, levels = search(up_to(620, asked), halvings=3)
    assert asked == [100, 200, 400, 800, 800, 600, 700, 700, 650, 650]
    assert tokens_per_s == pytest.approx(600 * TOKENS_PER_STREAM * 0.995)
    assert reason == "at 650 streams: TTFT error p99 9.00 ms, 5 ms may be"
    assert [found.streams for found in levels] == [100, 200, 400, 600, 650, 700, 800]


def test_a_slow_machine_is_searched_below_the_first_level() -> None:
    asked: list[int] = []
    tokens_per_s, _, levels = search(up_to(60, asked), halvings=2)
    assert tokens_per_s == pytest.approx(50 * TOKENS_PER_STREAM * 0.995)
    assert levels[0].streams == 50
    assert max(asked) == 100


def test_where_nothing_passes_there_is_no_rate_and_a_reason() -> None:
    tokens_per_s, reason, levels = search(up_to(0, [], server_lateness_p99_ms=4.0), halvings=2)
    assert tokens_per_s is None
    assert reason.startswith("at 25 streams: the server itself was late, so nothing is known of the client")
    assert all(not found.passed for found in levels)


def test_one_hiccup_does_not_end_the_search() -> None:
    asked: list[int] = []

    def measure(streams: int) -> Level:
        asked.append(streams)
        return up_to(399 if asked.count(200) > 1 else 199, [])(streams)

    tokens_per_s, _, _ = search(measure, halvings=0)
    assert tokens_per_s == pytest.approx(200 * TOKENS_PER_STREAM * 0.995)


def test_a_machine_without_a_limit_is_not_searched_for_ever() -> None:
    tokens_per_s, reason, levels = search(up_to(10**9, []), halvings=3)
    assert tokens_per_s == pytest.approx(levels[-1].streams * TOKENS_PER_STREAM * 0.995)
    assert levels[-1].streams == 12800
    assert "not too many" in reason


def kept(of: Fingerprint) -> Calibration:
    return Calibration(
        fingerprint=of,
        measured_at="2026-11-25T12:00:00+00:00",
        quick=True,
        tokens_per_s=12_345.0,
        reason="at 400 streams: something",
        levels=(level(100), level(200)),
    )


def test_a_calibration_is_found_again_by_the_same_machine_only(tmp_path: Path) -> None:
    here = fingerprint(1)
    saved = kept(here)
    path = save_calibration(saved, tmp_path)
    assert load_calibration(here, root=tmp_path) == saved
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert load_calibration(fingerprint(2), root=tmp_path) is None
    assert load_calibration(msgspec.structs.replace(here, kernel="another"), root=tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"tokens_per_s": "many"}'])
def test_a_damaged_file_is_no_calibration(tmp_path: Path, content: bytes) -> None:
    here = fingerprint(1)
    save_calibration(kept(here), tmp_path)
    calibration_path(tmp_path, here).write_bytes(content)
    assert load_calibration(here, root=tmp_path) is None


def test_what_is_not_calibrated_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="not calibrated") as caught:
        calibrate_command.kept_calibration(1, tmp_path)
    assert "kilotoken calibrate" in caught.value.hint


def test_the_error_is_what_lies_beyond_the_servers_own_lateness() -> None:
    truth = Lateness(
        ttft_ms=50, interval_ms=20, tokens_per_chunk=1, window_s=10, cpu_s=3, requests=9, answers=9, aborted=0,
        tokens=450, writes=450, blocked_writes=0, unstamped_requests=0, connections=9, peak_streams=9,
        scheduling="default", first_token_lateness_ms=LatenessSummary(9, 0.1, 0.6, 1.0),
        token_lateness_ms=LatenessSummary(441, 0.1, 0.4, 1.0),
    )  # fmt: skip
    said = {
        "requests": 900,
        "failed": 0,
        "output_tokens_per_s": 4800.0,
        "ttft_ms": {"p50": 50.35, "p99": 53.6},
        "client_lag_ms": {"p99": 7.0},
        "findings": {"client": {"voided_ttft_share": 0.001}},
    }
    found = calibrate_command.level_of(100, said, truth, offered=4850.0)
    assert found.ttft_error_p50_ms == pytest.approx(0.25)
    assert found.ttft_error_p99_ms == pytest.approx(3.0)
    assert found.server_cores == pytest.approx(0.3)
    unknown = calibrate_command.level_of(
        100, said | {"ttft_ms": {"p50": 50.0, "p99": None}}, truth, offered=1.0
    )
    assert unknown.ttft_error_p99_ms is None


def test_the_table_says_what_was_found(tmp_path: Path) -> None:
    console = Console(width=200, record=True)
    console.print(calibrate_command.calibration_table(kept(fingerprint(1))))
    void = msgspec.structs.replace(kept(fingerprint(1)), tokens_per_s=None, levels=())
    console.print(calibrate_command.calibration_table(void))
    text = console.export_text()
    assert "right up to 12,345 tokens/s" in text
    assert "99.5%" in text
    assert "Void" in text


@pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")
def test_a_real_level_is_measured_against_the_servers_own_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate_command, "ANSWERS", 10)
    said: list[str] = []
    effort = calibrate_command.Effort(warm_up_s=0.5, window_s=2.0, halvings=0)
    found = calibrate_command.measured_level(4, effort, processes=1, root=tmp_path, say=said.append)
    assert said == ["4 streams"]
    assert found.failed == 0
    assert found.answers >= 8
    assert found.tokens_per_s is not None
    assert found.tokens_per_s > 0.5 * found.offered_tokens_per_s
    assert "too few answers" in found.client_problem, "two seconds of four streams are no p99"
    json.dumps(msgspec.to_builtins(found))

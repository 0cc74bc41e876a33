import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from accounting.errors import ConfigError, ServerError
from serving.numerics import Numerics
from workbench.quality.command import QualityRequest, measure
from workbench.quality.sets import load_set
from workbench.quality.store import journal_path, read_result, results_of
from workbench.server_under_test import ServerUnderTest

Fake = Callable[..., AbstractContextManager[ServerUnderTest]]


@dataclass(frozen=True)
class Running:
    """Stands in for a subject: a server that runs already, with numerics of our choice."""

    label: str
    running: ServerUnderTest
    numerics: Numerics

    @contextmanager
    def server(self, *, log_path: Path, report: Callable[[str], None]) -> Iterator[ServerUnderTest]:
        report(str(log_path))
        yield self.running


@pytest.fixture
def request_of(own_set: Path, tmp_path: Path) -> QualityRequest:
    found = load_set(str(own_set), base_dir=tmp_path)
    return QualityRequest(found, n=10, seed=1, concurrency=4, root=tmp_path / "cache")


def run(request: QualityRequest, *subjects: Running, against: Path | None = None) -> list[dict[str, Any]]:
    return measure(list(subjects), request, against=against, say=lambda _text: None)  # type: ignore[arg-type]


def subject(server: ServerUnderTest, label: str = "plain") -> Running:
    return Running(label, server, Numerics({"model": label}))


def test_a_result_is_kept_under_its_numerics_and_not_measured_twice(
    fake: Fake, request_of: QualityRequest
) -> None:
    with fake() as server:
        (first,) = run(request_of, subject(server))
    path = Path(first["file"])
    assert path.parent == request_of.root / "quality" / subject(server).numerics.fingerprint
    assert path.name == f"{request_of.quality_set.key}-10-1.json"
    (again,) = run(request_of, subject(server, "plain"))  # the server is gone: nothing was asked
    assert again["score"] == first["score"]
    with pytest.raises(ServerError):
        run(replace(request_of, anew=True), subject(server))


def test_two_numerics_are_paired_and_an_earlier_result_can_be_the_other(
    fake: Fake, request_of: QualityRequest
) -> None:
    with fake() as one, fake(model="other", seed=0) as two:
        first, second = run(request_of, subject(one, "one"), subject(two, "two"))
        assert "against" not in first
        assert second["against"]["against"] == "one"
        assert second["against"]["perplexity"]["items"] == 10
        (third,) = run(request_of, subject(two, "three"), against=Path(first["file"]))
    assert third["against"]["perplexity"] == second["against"]["perplexity"]
    ratio = second["perplexity"]["value"] / first["perplexity"]["value"]
    assert second["against"]["perplexity"]["ratio"] == pytest.approx(ratio)


def test_a_result_of_other_items_is_refused_before_a_server_starts(
    fake: Fake, request_of: QualityRequest
) -> None:
    with fake() as server:
        (first,) = run(request_of, subject(server))
    with pytest.raises(ConfigError, match="seed 1 against 2"):
        run(replace(request_of, seed=2), subject(server), against=Path(first["file"]))


def test_an_interrupted_measurement_goes_on(fake: Fake, request_of: QualityRequest) -> None:
    die = {"kind": "status", "status": 500, "path": "/v1/chat/completions"}
    stopped = 0

    def stop(text: str) -> None:
        nonlocal stopped
        if "4 of 10 items" in text:
            stopped += 1
            raise KeyboardInterrupt

    with fake() as server, pytest.raises(KeyboardInterrupt):
        measure([subject(server)], replace(request_of, concurrency=1), against=None, say=stop)  # type: ignore[list-item]
    assert stopped == 1
    with fake([die]) as server:
        (found,) = run(request_of, subject(server))
    assert (found["items_from_before"], found["failures"]) == (4, 6)


def test_a_server_that_answers_nothing_gets_no_score(fake: Fake, request_of: QualityRequest) -> None:
    with (
        fake([{"kind": "status", "status": 400}]) as server,
        pytest.raises(ServerError, match="not one of 10 items was answered: HTTP 400"),
    ):
        run(request_of, subject(server))
    assert not results_of(request_of.root, subject(server).numerics.fingerprint)
    assert not list(request_of.root.rglob("*.jsonl")), "the next try asks every item"


def test_model_written_code_runs_only_when_allowed(fake: Fake, tmp_path: Path) -> None:
    request = QualityRequest(load_set("humaneval", base_dir=tmp_path), 2, 1, 2, tmp_path)
    with fake() as server:
        with pytest.raises(ConfigError, match="executing code") as refused:
            run(request, subject(server))
        assert "--allow-code-execution" in refused.value.hint
        (found,) = run(replace(request, allow_code_execution=True), subject(server))
    assert (found["right"], found["failures"]) == (0, 0), "words are no program"
    journal = journal_path(Path(found["file"])).read_text()
    assert "SyntaxError" in journal or "Error" in journal


def test_a_file_that_is_no_result_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    for text in ("{", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="quality result"):
            read_result(path)
    needed = (
        "label",
        "fingerprint",
        "set",
        "set_key",
        "n",
        "seed",
        "score",
        "perplexity",
        "rows",
        "failures",
    )
    path.write_text(json.dumps(dict.fromkeys(needed, 0) | {"format": 0}))
    with pytest.raises(ConfigError, match="another version"):
        read_result(path)

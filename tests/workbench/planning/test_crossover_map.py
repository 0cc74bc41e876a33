"""`kilotoken map` on a profile of an engine whose steps are known: predictions are the engine's own, break-evens are where they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from accounting.planning.speedup_factors import UNEXPLAINED
from accounting.planning.steady_rate import mean_step
from tests.accounting.planning import engines
from tests.workbench.planning.simulated_profile import SHAPES, SimulatedRun, drafting_of
from tests.workbench.planning.test_profile import begun, profile
from workbench.cli import app
from workbench.planning.profile_command import finish_profile


@pytest.fixture
def profiled(tmp_path: Path) -> Path:
    finish_profile(begun(tmp_path, profile()), SimulatedRun())
    return tmp_path / "out"


def asked(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["map", *map(str, arguments)])


def mapped(directory: Path, *rest: object) -> dict[str, Any]:
    done = asked(directory, "--json", *rest)
    assert done.exit_code == 0, (done.output, done.exception)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def engine_ratio(arm: str, workload: str, streams: int) -> float:
    """What the engine itself would give."""

    def rate(name: str) -> float:
        drafting, shape = drafting_of(name), SHAPES[workload]
        requests = streams / (shape.decode_steps(drafting) + 1)
        return requests * shape.output / engines.seconds(mean_step(streams, drafting, shape))

    return rate(arm) / rate("off")


def test_a_point_is_measured_predicted_and_taken_apart(profiled: Path) -> None:
    rows = mapped(profiled)["rows"]
    assert len(rows) == 6 * 2
    for row in rows:
        for load in row["loads"]:
            true = engine_ratio(row["arm"], row["workload"], load["streams"])
            assert load["measured_ratio"] == pytest.approx(true, rel=1e-3)
            assert load["predicted_ratio"] == pytest.approx(true, rel=1e-2)
            factors = {factor["cause"]: factor["factor"] for factor in load["factors"]}
            assert factors[UNEXPLAINED] == pytest.approx(1.0, rel=1e-2)


def test_drafting_pays_where_the_engine_says(profiled: Path) -> None:
    rows = {(row["arm"], row["workload"]): row for row in mapped(profiled)["rows"]}
    row = rows["ngram-k2", "chat"]
    paying = [streams for streams in range(1, 17) if engine_ratio("ngram-k2", "chat", streams) > 1]
    assert row["pays_at_streams"] == [[paying[0], paying[-1]]]
    for load in row["loads"]:
        pays = load["predicted_ratio"] > 1
        assert (row["tokens_per_step"] > load["break_even_tokens_per_step"]) is pays
        assert load["ratio_at_best"] >= load["predicted_ratio"]


def test_a_price_gives_dollars_and_the_table_says_all(profiled: Path) -> None:
    load = mapped(profiled, "--usd-per-hour", 3.6)["rows"][0]["loads"][0]
    assert load["usd_per_1k"] == pytest.approx(1.0 / load["measured_tokens_per_s"])
    text = " ".join(asked(profiled, "--usd-per-hour", 3.6).stdout.split())
    assert "copy: tokens per second against no drafting" in text
    assert "Where it went: factors of the ratio" in text
    assert "Predicted against measured tokens/s over 36 windows" in text


def test_the_page_draws_every_point(profiled: Path, tmp_path: Path) -> None:
    page = tmp_path / "map.html"
    done = asked(profiled, "--usd-per-hour", 3.6, "--report", page)
    assert done.exit_code == 0, (done.output, done.exception)
    text = page.read_text(encoding="utf-8")
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', text, re.S)[1])  # type: ignore[index]
    assert figures.keys() == {"ratio-0", "ratio-1", "prediction-0", "prediction-1"}
    drawn = [trace for name in ("prediction-0", "prediction-1") for trace in figures[name][0]["data"]]
    assert sum(len(trace["x"]) for trace in drawn) == 36
    assert "36 windows: median error" in text
    assert "$3.6 per hour" in text
    assert "The most was" in text


def test_what_is_no_profile_is_said(tmp_path: Path) -> None:
    done = asked(tmp_path)
    assert "step_cost.json cannot be read" in str(done.exception)

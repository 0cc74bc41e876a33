"""Shared across folders: the machine's Chromium, and real servers for tests/live and tests/gpu."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.config import ServerConfig
from workbench.cell import load_spec, run_cell
from workbench.experiment import Experiment
from workbench.measures import measure_cell, read_cell
from workbench.plan import make_plan
from workbench.run_directory import BlockDirectory
from workbench.server_lives import with_answer_memory
from workbench.server_under_test import ServerUnderTest, placement_for, started_server

START_DEADLINE_S = 400
CHROMIUM_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


StartServer = Callable[[dict[str, Any]], AbstractContextManager[ServerUnderTest]]


def pytest_collection_finish() -> None:
    """Two thousand tests and what they import are never garbage: looking through them again and again would hold up fake
    servers and readers of real ones, which live in this process, for a third of a second each time.
    """
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """So that what the tests imported can end as it would without us."""
    gc.unfreeze()


@pytest.fixture
def golden() -> Callable[[str, Any], None]:
    """`golden("serving/golden/x.json", value)`: equal to what the file says (`make goldens` writes the files)."""

    def check(name: str, value: Any) -> None:
        path = Path(__file__).parent / name
        text = value if isinstance(value, str) else json.dumps(value, indent=2) + "\n"
        if os.environ.get("KILOTOKEN_WRITE_GOLDENS") == "1":
            path.write_text(text, encoding="utf-8")
            return
        assert path.exists(), f"{path.name} is missing: `make goldens` writes it"
        assert text == path.read_text(encoding="utf-8"), "`make goldens`, then look at the difference"

    return check


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> StartServer:
    """`with start_server({...config...}) as server:` a ready server."""

    @contextmanager
    def start(config: dict[str, Any]) -> Iterator[ServerUnderTest]:
        engine = {"enforce_eager": True, "startup_deadline_s": START_DEADLINE_S}
        validated = ServerConfig.model_validate({"batching": {"max_num_seqs": 16}, "engine": engine} | config)
        placement = placement_for(validated)
        log = tmp_path_factory.mktemp("server") / "server.log"
        with started_server(validated, placement, log_path=log, report=lambda _text: None) as server:
            yield server

    return start


@pytest.fixture(scope="session")
def chat() -> Callable[..., dict[str, Any]]:
    """Ask a server one question, greedy, not streaming."""

    def ask(server: ServerUnderTest, question: str, max_tokens: int = 60) -> dict[str, Any]:
        body = {
            "model": server.model_name,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": max_tokens,
            "temperature": 0,
        }
        answered = httpx.post(f"{server.base_url}/v1/chat/completions", json=body, timeout=120)
        answered.raise_for_status()
        parsed: dict[str, Any] = answered.json()
        return parsed

    return ask


@pytest.fixture(scope="session")
def measured_cell(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Run one real cell against a server through the product's own path; returns its measures."""

    def measure(
        server: ServerUnderTest, *, workload: str, streams: int, window_s: float = 8.0
    ) -> dict[str, Any]:
        """Once more, twice at most, where this machine held the cell up: that says nothing of what is tested."""
        for _ in range(3):
            measures = measure_once(server, workload=workload, streams=streams, window_s=window_s)
            if "this machine held kilotoken up" not in (measures["reason"] or ""):
                break
        return measures

    def measure_once(
        server: ServerUnderTest, *, workload: str, streams: int, window_s: float
    ) -> dict[str, Any]:
        experiment = Experiment.model_validate(
            {
                "name": "live",
                "arms": {"only": {}},
                "workloads": [workload],
                "loads": {"streams": [streams]},
                "output": {"max_tokens": 40},
                "window": {"minimum_s": window_s, "warm_up_s": 1.0},
                "repeats": 1,
                "price": {"usd_per_hour": 1.0, "source": "declared for a test", "as_of": "2026-11-22"},
            }
        )
        (block,) = make_plan(experiment).blocks
        (cell,) = block.cells
        attempt = BlockDirectory(tmp_path_factory.mktemp("block"))
        directory = attempt.cell(cell)
        records = directory.path / "records.jsonl"
        spec = load_spec(experiment, block, cell, server, records, workload)
        run_cell(spec, server, directory, report=lambda _progress: None)
        (data,) = with_answer_memory([read_cell(block, cell, directory)])
        return measure_cell(data, experiment, None) | {"directory": directory}

    return measure


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The machine's Chromium. A machine that promises one (CI) must have it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium on this machine, and CI must open the report")
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()

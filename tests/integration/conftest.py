"""Runs of the real command against the fake server, launched exactly as vLLM is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

EXPERIMENT = """
name: {name}
server:
  model: fake-model
  engine: {{device: fake}}
arms:
  plain: {{}}
  ngram: {{speculation: {{method: ngram, num_speculative_tokens: 3}}}}
workloads: [{workloads}]
loads: {{streams: {streams}}}
output: {{max_tokens: 24}}
window: {{minimum_s: {window_s}, warm_up_s: 0.5}}
repeats: 1
losslessness: off
price: {{usd_per_hour: 3.6, source: declared for a test, as_of: 2026-11-22}}
"""


Command = Callable[..., "subprocess.CompletedProcess[str]"]


def command_line(*arguments: object) -> list[str]:
    """The installed command, as a user calls it."""
    return [str(Path(sys.executable).with_name("kilotoken")), *map(str, arguments)]


@pytest.fixture
def kilotoken(tmp_path: Path) -> Command:
    """Call the command in an empty directory; extra environment variables as keywords."""

    def call(
        *arguments: object, timeout_s: float = 90, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command_line(*arguments),
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    return call


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small experiment of two blocks on the fake server."""
    path = tmp_path / "experiment.yaml"
    path.write_text(
        EXPERIMENT.format(name="small", workloads="chat", streams="[2]", window_s=1.5), encoding="utf-8"
    )
    return path


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command in the background; what still runs at the end of the test is ended."""
    children: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            command_line(*arguments),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()

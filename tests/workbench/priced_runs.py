"""Run directories whose numbers are known, and `kilotoken price` asked about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from workbench.cli import app
from workbench.experiment import parse_experiment
from workbench.plan import make_plan
from workbench.run_directory import RunDirectory, write_json

TEXT = """
name: priced
server: {{model: fake-model, engine: {{device: fake}}}}
arms:
  plain: {{}}
  slow: {{batching: {{max_num_seqs: 7}}}}
workloads: [chat]
loads: {{streams: [2, 4, 8, 16]}}
{count}
price: {{usd_per_hour: {usd}, source: declared for a test, as_of: {as_of}}}
"""
#: Seconds of a step, and of each prefilled and generated token in it.
STEP_S, PREFILL_S, OUTPUT_S = 0.004, 0.0002, 0.001
Make = Callable[..., Path]
Cell = dict[str, Any]


def prompt_tokens(streams: int, repeat: int) -> float:
    """Odd enough that windows differ: long prompts at few streams in one repeat, short ones at many in the other."""
    return 700.0 * streams if repeat == 1 else 90_000.0 / streams


def cached_tokens(streams: int, repeat: int) -> float:
    """Of these."""
    return 60.0 * streams if repeat == 1 else 1000.0


def cell(arm: str, repeat: int, streams: int, verdict: str, watts: float | None) -> Cell:
    """A window of a server whose steps take as long as their tokens say; the other arm is half as fast."""
    output, prompts, slower = 1000.0 * streams, prompt_tokens(streams, repeat), 2.0 if arm == "slow" else 1.0
    steps = output / streams
    window_s = (
        steps * STEP_S + (prompts - cached_tokens(streams, repeat)) * PREFILL_S + output * OUTPUT_S
    ) * slower
    return {
        "arm": arm, "workload": "chat", "streams": streams, "load": f"{streams} streams", "repeat": repeat,
        "block": f"r{repeat}-{arm}", "window_s": window_s, "output_tokens": output, "requests": 50,
        "output_tokens_per_s": output / window_s, "prompt_tokens": prompts, "cached_prompt_tokens": cached_tokens(streams, repeat),
        "engine_steps": steps, "slo_token_share": {"value": 0.8, "reason": None}, "busy_share": 1.0,
        "energy": {"watts": watts, "covers": ["GPU boards"]}, "verdict": {"throughput": verdict},
    }  # fmt: skip


def maker(
    root: Path,
) -> Make:
    """Makes runs below a directory; `change` may edit every cell, `count` says how many repeats count."""

    def make(
        name: str = "run", *, usd: float = 3.6, verdict: str = "valid", watts: float | None = None,
        as_of: str = "2026-11-22", count: str = "repeats: 2", startup_s: float | None = 60.0,
        change: Callable[[Cell], None] = lambda _: None,
    ) -> Path:  # fmt: skip
        text = TEXT.format(usd=usd, as_of=as_of, count=count)
        plan = make_plan(parse_experiment(text, origin="test"))
        run = RunDirectory.create(root / name, text, plan, {})
        for block in plan.blocks:
            run.next_attempt(block).write_status("finished", startup_s=startup_s)
        cells = [
            cell(arm, repeat, streams, verdict, watts)
            for repeat in (1, 2)
            for arm in ("plain", "slow")
            for streams in (2, 4, 8, 16)
        ]
        for one in cells:
            change(one)
        write_json(run.path / "measures.json", {"cells": cells, "pooled": []})
        return run.path

    return make


def asked(path: Path, *rest: str) -> Result:
    """`kilotoken price` with these options."""
    return CliRunner().invoke(app, ["price", str(path), *rest])


def priced(path: Path, *rest: str) -> dict[str, Any]:
    """The document that it prints."""
    done = asked(path, "--json", *rest)
    assert done.exit_code == 0, (done.output, done.exception)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def shown(path: Path, *rest: str) -> str:
    """The table that it prints, in one line."""
    done = asked(path, *rest)
    assert done.exit_code == 0, (done.output, done.exception)
    return " ".join(done.stdout.split())


def refused(path: Path, *rest: str) -> BaseException:
    """What it refuses with."""
    done = asked(path, *rest)
    assert done.exit_code != 0, done.output
    assert done.exception is not None
    return done.exception


def place(document: dict[str, Any], arm: str = "plain", streams: int = 8) -> dict[str, Any]:
    """One row of the document."""
    (found,) = [p for p in document["places"] if (p["arm"], p["load"]) == (arm, f"{streams} streams")]
    return dict(found)

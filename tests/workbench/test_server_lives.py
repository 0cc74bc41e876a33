"""Which cells shared a server life, and what that makes of a drafter's memory. Through a cell's own files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accounting import metric_names as names
from accounting.answer_memory import AnswerMemory
from accounting.records import RequestRecord
from loadtest.record_spool import RecordSpool
from loadtest.request_store import convert_to_parquet
from tests.accounting.loads import closed_load
from workbench.cell_data import CellData, read_cell
from workbench.plan import BlockPlan, CellPlan
from workbench.run_directory import CellDirectory
from workbench.server_lives import with_answer_memory

EDGES = {"idle_before": -1.0, "window_start": 5.0, "window_end": 15.0, "idle_after": 60.0}
RECORDS = closed_load(2, 20.0)


def cell(
    directory: Path,
    *,
    generated: tuple[float, float] = (0.0, 900.0),
    started: float = 1000.0,
    prompts: str = "p",
    hits: tuple[float, float] = (0.0, 0.0),
    arm: str = "suffix",
    **facts: Any,
) -> CellData:
    """A cell of a remembering server that had generated so many tokens before and after it."""
    directory.mkdir(parents=True)
    spool = RecordSpool(directory / "lines.jsonl")
    for record in RECORDS:
        spool.append(named(record, prompts))
    spool.close()
    convert_to_parquet(directory / "lines.jsonl", directory / "requests.parquet")
    memory = {"generated_tokens": generated[0], "remembers": True, "why_unknown": ""}
    edges = {name: {"at_s": at_s, "uncertainty_s": 0.001} for name, at_s in EDGES.items()}
    told = {"edges": edges, "caches_reset": True, "metrics_error": "", "base_url": "http://here:1"}
    (directory / "cell.json").write_text(json.dumps({**told, "server_memory": memory, **facts}))
    for edge in EDGES:
        late = edge != "idle_before"
        counted = dict.fromkeys(names.REQUIRED_COUNTERS, 0.0) | {
            names.GENERATION_TOKENS: generated[late],
            names.PREFIX_CACHE_HITS: hits[late],
            names.PREFIX_CACHE_QUERIES: 500.0 * late,
        }
        lines = [f"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {started}\n"]
        for name, value in counted.items():
            kind, ending = ("counter", "_total") if name.endswith("_total") else ("histogram", "_count")
            lines.append(f"# TYPE {name.removesuffix(ending)} {kind}\n{name} {value}\n")
        (directory / f"metrics_{edge}.prom").write_text("".join(lines))
    plan = CellPlan("chat-2", "chat", 2, 0, 1)
    return read_cell(BlockPlan("r1", arm, 1, 7, (plan,)), plan, CellDirectory(directory))


def named(record: RequestRecord, prompts: str) -> RequestRecord:
    return replace(record, prompt_id=record.prompt_id.replace("p", prompts), prompt_tokens=10)


def memories(*cells: CellData) -> list[AnswerMemory]:
    judged = [c.facts.answer_memory for c in with_answer_memory(cells)]
    assert all(judged)
    return [found for found in judged if found is not None]


def test_a_fresh_life_has_nothing_to_remember(tmp_path: Path) -> None:
    assert memories(cell(tmp_path / "a")) == [
        AnswerMemory(remembers=True, generated_tokens=0, unknown_tokens=0)
    ]


def test_a_second_cell_of_other_prompts_in_one_life_is_fine(tmp_path: Path) -> None:
    first, second = cell(tmp_path / "a"), cell(tmp_path / "b", generated=(900.0, 1700.0), prompts="q")
    assert [m.reason for m in memories(second, first)] == ["", ""], "in whatever order they are read"


def test_a_second_cell_of_the_same_prompts_in_one_life_is_not(tmp_path: Path) -> None:
    _, second = memories(cell(tmp_path / "a"), cell(tmp_path / "b", generated=(900.0, 1700.0), arm="other"))
    assert (second.unknown_tokens, second.asked_before) == (0, len(cell(tmp_path / "c").in_window))
    assert "asked before in this server's life" in second.reason


@pytest.mark.parametrize("other", [{"started": 2000.0}, {"base_url": "http://there:1"}])
def test_another_life_is_another_memory(tmp_path: Path, other: dict[str, Any]) -> None:
    first, second = memories(cell(tmp_path / "a"), cell(tmp_path / "b", generated=(0.0, 800.0), **other))
    assert (first.reason, second.reason) == ("", "")


def test_tokens_between_two_cells_are_somebody_else_s(tmp_path: Path) -> None:
    _, second = memories(cell(tmp_path / "a"), cell(tmp_path / "b", generated=(950.0, 1700.0), prompts="q"))
    assert second.unknown_tokens == 50
    assert "50 tokens that no cell of this run accounts for" in second.reason


def test_an_unknown_past_stays_with_every_later_cell(tmp_path: Path) -> None:
    first, second = memories(
        cell(tmp_path / "a", generated=(70.0, 900.0)),
        cell(tmp_path / "b", generated=(900.0, 1700.0), prompts="q"),
    )
    assert (first.unknown_tokens, second.unknown_tokens) == (70, 70)
    assert second.reason


def test_an_older_directory_is_not_judged(tmp_path: Path) -> None:
    old = cell(tmp_path / "a", server_memory=None)
    assert old.life is None
    assert with_answer_memory([old]) == [old]


EXPLAINED = {"tokens": 320, "prompt_tokens": 500, "block_tokens": 16, "reason": ""}


@pytest.mark.parametrize(
    ("hits", "facts", "reason", "not_judged"),
    [
        (0.0, {}, "", ""),
        (320.0, {"explained_hits": EXPLAINED}, "", ""),
        (336.0, {"explained_hits": EXPLAINED}, "336 prompt tokens were hit", ""),
        (336.0, {"explained_hits": EXPLAINED | {"tokens": None, "reason": "it is mute"}}, "", "it is mute"),
        (336.0, {}, "", "did not look"),
    ],
)
def test_prefix_hits_are_held_against_what_the_prompts_explain(
    tmp_path: Path, hits: float, facts: dict[str, Any], reason: str, not_judged: str
) -> None:
    found = cell(tmp_path / "a", hits=(40.0, 40.0 + hits), **facts).facts.prefix_hits
    assert found is not None
    assert found.hit_tokens == hits
    assert reason in found.reason
    assert bool(found.reason) == bool(reason)
    assert not_judged in found.not_judged
    assert bool(found.not_judged) == bool(not_judged)

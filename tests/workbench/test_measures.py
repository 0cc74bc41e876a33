"""A finished cell's files -> its measures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from accounting import metric_names as names
from accounting.host_noise import HostSample
from accounting.records import RequestRecord
from loadtest.record_spool import RecordSpool
from loadtest.request_store import convert_to_parquet
from tests.accounting.loads import closed_load
from workbench.cell_data import CellData, read_cell
from workbench.experiment import Experiment
from workbench.host_sampler import write_host_samples
from workbench.measures import measure_cell
from workbench.plan import BlockPlan, CellPlan
from workbench.pooled_measures import pool
from workbench.run_directory import BlockDirectory

CELL = CellPlan("chat-32", "chat", 32, 0, 1)
BLOCK = BlockPlan("r1-plain", "plain", 1, 7, (CELL,))
EDGES = {"idle_before": -1.0, "window_start": 5.0, "window_end": 35.0, "idle_after": 60.0}
EXPERIMENT = Experiment.model_validate(
    {
        "name": "files",
        "arms": {"plain": {}},
        "workloads": ["chat"],
        "loads": {"streams": [32]},
        "price": {"usd_per_hour": 1.0, "source": "declared", "as_of": "2026-11-22"},
        "repeats": 1,
    }
)


@dataclass
class CellFiles:
    """Writes what a cell leaves; what is not called for is missing, as in older run directories."""

    root: Path

    @property
    def cell(self) -> Path:
        return self.root / "cells" / CELL.cell_id

    def requests(self, records: Sequence[RequestRecord]) -> CellFiles:
        self.cell.mkdir(parents=True, exist_ok=True)
        spool = RecordSpool(self.cell / "records.jsonl")
        for record in records:
            spool.append(record)
        spool.close()
        convert_to_parquet(self.cell / "records.jsonl", self.cell / "requests.parquet")
        return self

    def facts(self, **more: Any) -> CellFiles:
        edges = {name: {"at_s": at_s, "uncertainty_s": 0.001} for name, at_s in EDGES.items()}
        facts = {"edges": edges, "caches_reset": True, "metrics_error": "", **more}
        (self.cell / "cell.json").write_text(json.dumps(facts))
        return self

    def pages(
        self, records: Sequence[RequestRecord], *, missed: int = 0, drafts: int | None = None
    ) -> CellFiles:
        for edge, at_s in EDGES.items():
            tokens = sum(int((r.chunks.at_s < at_s).sum()) for r in records) + (missed if at_s > 0 else 0)
            prompts = sum(10 for r in records if r.intended_send_s < at_s)
            counted = {
                names.GENERATION_TOKENS: tokens,
                names.PROMPT_TOKENS: prompts,
                names.FIRST_TOKENS: 0,
                names.DECODE_STEPS: 0,
            }
            if drafts is not None:
                spoken = {"idle_before": 0, "window_start": 100, "window_end": 100 + drafts}.get(
                    edge, 100 + drafts
                )
                counted |= {
                    names.DRAFTS: spoken,
                    names.DRAFT_TOKENS: 3 * spoken,
                    names.ACCEPTED_TOKENS: spoken,
                }
            lines = [
                f"# TYPE {name.removesuffix('_total')} counter\n{name} {value}"
                if name.endswith("_total")
                else f"# TYPE {name.removesuffix('_count')} histogram\n{name} {value}"
                for name, value in counted.items()
            ]
            (self.cell / f"metrics_{edge}.prom").write_text("\n".join(lines) + "\n")
        return self

    def queue(self, running: Sequence[float]) -> CellFiles:
        rows = [(5.5 + i, names.REQUESTS_RUNNING, float(value)) for i, value in enumerate(running)]
        rows += [(5.5 + i, names.REQUESTS_WAITING, 1.0) for i in range(len(running))]
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE s (at_s DOUBLE, name VARCHAR, value DOUBLE)")
            connection.executemany("INSERT INTO s VALUES (?, ?, ?)", rows)
            connection.execute(f"COPY s TO '{self.cell / 'counters.parquet'}' (FORMAT parquet)")
        return self

    def host(self, foreign_cpus: float) -> CellFiles:
        write_host_samples(
            [
                HostSample(
                    at_s=at_s, interval_s=1.0, cpus=2, busy_cpus=1 + foreign_cpus, own_cpus=1.0,
                    foreign_cpus=foreign_cpus, steal_cpus=0.0,
                )
                for at_s in map(float, range(40))
            ],
            self.cell / "host.jsonl",
        )  # fmt: skip
        return self

    def read(self) -> CellData:
        return read_cell(BLOCK, CELL, BlockDirectory(self.root).cell(CELL))


RECORDS = closed_load(32, 45.0)


@pytest.fixture
def files(tmp_path: Path) -> CellFiles:
    return CellFiles(tmp_path).requests(RECORDS).facts().pages(RECORDS)


def test_a_good_cell_is_valid_and_says_what_was_looked_at(files: CellFiles) -> None:
    measures = measure_cell(files.queue([31] * 29).host(0.0).read(), EXPERIMENT, None)
    assert measures["verdict"] == {"throughput": "valid", "tails": "valid", "acceptance": None}
    assert measures["reason"] is None
    assert measures["ttft_s"]["p99"] == pytest.approx(0.05)
    assert measures["chunk_gap_s"]["p50"] == pytest.approx(0.02)
    assert measures["client_lag_s"]["p99"] == pytest.approx(0.0002, rel=1e-3)
    assert measures["clock"] == "kernel"
    assert measures["output_tokens_per_s"] == pytest.approx(32 * 50 / 1.03, rel=0.01)
    findings = measures["findings"]
    assert findings["steadiness"]["tpot"]["judged"]
    assert findings["host"]["samples"] == 30
    assert findings["saturation"] is None
    json.dumps(measures, allow_nan=False)


def test_an_older_directory_lacks_samples_and_is_measured_all_the_same(files: CellFiles) -> None:
    data = files.read()
    assert data.facts.queue is None
    measures = measure_cell(data, EXPERIMENT, None)
    assert measures["verdict"]["throughput"] == "valid"
    assert measures["findings"]["host"]["not_measured"] == ("the host was not sampled inside the window",)


def test_the_server_s_own_queue_is_read_second_by_second(files: CellFiles) -> None:
    data = files.queue(range(10, 39)).read()
    assert data.facts.queue is not None
    assert data.facts.queue.tolist() == [float(n + 1) for n in range(10, 39)]


def test_few_samples_of_the_queue_are_none(files: CellFiles) -> None:
    assert files.queue([1, 2, 3]).read().facts.queue is None


def test_a_noisy_host_spoils_time_and_not_acceptance(files: CellFiles) -> None:
    noisy = files.pages(RECORDS, drafts=500).host(0.5).read()
    verdict = measure_cell(noisy, EXPERIMENT, None)["verdict"]
    assert verdict == {"throughput": "noisy_host", "tails": "noisy_host", "acceptance": "valid"}


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ({"window": 4.9, "tail": 35.0, "drain": 35.5}, ""),
        ({"window": 4.9, "tail": 34.0, "drain": 34.8}, ""),
        ({"window": 4.9, "tail": 30.0, "drain": 30.5}, "last page was read 4.5 s after the load's end"),
        ({"window": 1.0, "tail": 4.0, "drain": 4.5}, "first page was read 4.0 s late"),
        ({"window": 2.5, "tail": 35.0, "drain": 35.5}, ""),
        ({"window": 1.5, "tail": 35.0, "drain": 35.5}, "first page was read 3.5 s late"),
        ({}, ""),
    ],
)
def test_counters_read_after_the_load_s_end_are_not_the_window_s(
    stages: dict[str, float], said: str, files: CellFiles
) -> None:
    measures = measure_cell(files.facts(stages_s=stages).read(), EXPERIMENT, None)
    assert measures["verdict"]["throughput"] == ("noisy_host" if said else "valid")
    assert said in (measures["reason"] or "")


def test_few_drafts_are_too_few_for_acceptance(files: CellFiles) -> None:
    measures = measure_cell(files.pages(RECORDS, drafts=399).read(), EXPERIMENT, None)
    assert measures["verdict"]["acceptance"] == "too_short"
    assert measures["verdict"]["throughput"] == "valid"


def test_tokens_that_only_the_server_counted_are_told(files: CellFiles) -> None:
    measures = measure_cell(files.pages(RECORDS, missed=7).read(), EXPERIMENT, None)
    assert measures["verdict"]["throughput"] == "unreconciled"
    assert not measures["reconciled"]


def test_a_cell_above_the_calibrated_rate_is_client_bound(files: CellFiles) -> None:
    data = files.facts(calibrated_tokens_per_s=1000.0).read()
    assert measure_cell(data, EXPERIMENT, None)["verdict"]["throughput"] == "client_bound"


def test_repeats_are_pooled_with_every_percentile_that_they_carry_together(files: CellFiles) -> None:
    (pooled,) = pool([files.read()] * 2, EXPERIMENT.slo.to_slo())
    assert pooled["repeats"] == 2
    assert pooled["ttft_s"]["samples"] == 2 * len(files.read().in_window)
    assert pooled["ttft_s"]["p99"] == pytest.approx(0.05)
    assert pooled["chunk_gap_s"]["p99"] == pytest.approx(0.02)


def test_answers_longer_than_the_baseline_s_are_length_drift(files: CellFiles, tmp_path: Path) -> None:
    longer = [replace(r, completion_tokens=(r.completion_tokens or 0) + 10) for r in RECORDS]
    other = CellFiles(tmp_path / "other").requests(longer).facts().pages(longer)
    measures = measure_cell(other.read(), EXPERIMENT, files.read())
    assert measures["length_drift"] == pytest.approx(0.2)
    assert "longer than the baseline's" in measures["reason"]


def metered(end: dict[str, float | None], **changes: Any) -> dict[str, Any]:
    """What the meters of a board and a package said: 1000 J each at the first edge, then as given."""
    kinds = {"board": ("GPU board", None), "package": ("CPU package", 65536.0)}
    counters = [
        {"meter": meter, "kind": kind, "step_s": 0.1, "range_joules": limit}
        for meter, (kind, limit) in kinds.items()
    ]

    def readings(at_s: float, joules: dict[str, float | None]) -> list[dict[str, Any]]:
        return [
            {"meter": meter, "joules": said, "at_s": at_s, "reason": "for root alone" if said is None else ""}
            for meter, said in joules.items()
        ]

    return {
        "reason": "", "note": "", "absent": {}, "counters": counters, "between": [],
        "window_start": readings(5.0, dict.fromkeys(kinds, 1000.0)), "window_end": readings(35.0, end), **changes,
    }  # fmt: skip


def energy_of(files: CellFiles, recorded: dict[str, Any] | None) -> dict[str, Any]:
    measures = measure_cell(files.facts(energy=recorded).read(), EXPERIMENT, None)
    json.dumps(measures, allow_nan=False)
    energy: dict[str, Any] = measures["energy"]
    return energy


def test_energy_is_that_of_boards_and_packages_over_the_window_s_tokens(files: CellFiles) -> None:
    """9000 J and 1500 J in 30 s are 300 W and 50 W."""
    energy = energy_of(files, metered({"board": 10000.0, "package": 2500.0}))
    assert (energy["joules"], energy["watts"], energy["code"]) == (10500.0, 350.0, "valid")
    tokens = measure_cell(files.read(), EXPERIMENT, None)["output_tokens"]
    assert energy["joules_per_1k_output_tokens"] == pytest.approx(10500.0 / tokens * 1000.0)
    assert (energy["reason"], energy["note"]) == (None, None)
    assert energy["covers"] == ["GPU boards", "CPU packages"]
    assert [(kind["kind"], kind["watts"]) for kind in energy["kinds"]] == [
        ("GPU board", 300.0),
        ("CPU package", 50.0),
    ]
    assert energy["meters"][0] == {
        "meter": "board", "kind": "GPU board", "joules": 9000.0, "watts": 300.0, "code": "valid", "reason": None,
    }  # fmt: skip


def test_readings_between_the_edges_are_heard(files: CellFiles) -> None:
    """The edges alone would say 1500 J the second time; the 64,000 J in 25 s before them say that it was reset."""
    between = [[{"meter": "package", "joules": 20000.0, "at_s": 25.0, "reason": ""}]]
    energy = energy_of(files, metered({"board": 10000.0, "package": 26000.0}, between=between))
    assert energy["joules"] == 9000.0 + 25000.0
    wild = [[{"meter": "package", "joules": 65000.0, "at_s": 30.0, "reason": ""}]]
    energy = energy_of(files, metered({"board": 10000.0, "package": 2500.0}, between=wild))
    assert (energy["joules"], energy["code"]) == (None, "reset")


@pytest.mark.parametrize(
    ("recorded", "code", "reason"),
    [
        (None, "not recorded", "the run was recorded before energy was"),
        (
            metered({}, reason="the server is not on this machine"),
            "no counter",
            "the server is not on this machine",
        ),
        (
            metered({}, counters=[], absent={"CPU package": "no RAPL counter", "GPU board": "no NVIDIA GPU"}),
            "no counter",
            "this machine has no RAPL counter and no NVIDIA GPU",
        ),
        (
            metered({"board": None, "package": 2500.0}),
            "missing edge",
            "GPU boards: no reading at the window's end: for root alone",
        ),
        (
            metered({"package": 2500.0}),
            "missing edge",
            "GPU boards: no reading at the window's end: it was not read",
        ),
        (
            metered({"board": 1000.0, "package": 2500.0}),
            "stuck",
            "GPU boards: the counter did not move in 30.0 s",
        ),
    ],
)
def test_energy_that_is_missing_is_never_zero(
    files: CellFiles, recorded: dict[str, Any] | None, code: str, reason: str
) -> None:
    energy = energy_of(files, recorded)
    values = ("joules", "watts", "joules_per_1k_output_tokens")
    assert [energy[name] for name in values] == [None, None, None]
    assert (energy["code"], energy["reason"], energy["covers"]) == (code, reason, [])
    assert all((meter["joules"] is None) == bool(meter["reason"]) for meter in energy["meters"])


def test_a_directory_without_the_key_is_an_older_run(files: CellFiles) -> None:
    energy = measure_cell(files.read(), EXPERIMENT, None)["energy"]
    assert (energy["joules"], energy["code"]) == (None, "not recorded")


def test_joules_per_token_are_withheld_where_the_counts_do_not_agree(files: CellFiles) -> None:
    energy = energy_of(files.pages(RECORDS, missed=7), metered({"board": 10000.0, "package": 2500.0}))
    assert energy["joules"] == 10500.0
    assert energy["joules_per_1k_output_tokens"] is None
    assert energy["reason"].startswith("withheld: ")

"""The coordinator over channels of the test's own: workers here and elsewhere, slow, silent, broken or gone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest.config import LoadSpec, Stages
from loadtest.coordinator import ANSWER_LIMIT_S, Coordinator, WorkerFailedError
from loadtest.load_spec_examples import load_spec

HERE = "this-machine"


class Worker:
    """A worker that does as it is told, on a clock that may be another machine's."""

    def __init__(self, world: "World", index: int, *, offset_s: float = 0.0, boot: str = HERE) -> None:
        self.world, self.index, self.offset_s, self.boot = world, index, offset_s, boot
        self.start_at_s: float | None = None
        self.records = bytes([index]) * 10
        self.answers: dict[str, Callable[..., None]] = {
            "prepare": lambda **_: self.say("ready"),
            "ping": self.ping,
            "start": self.start,
            "stage": self.stage,
            "save": self.save,
            "ship": self.ship,
        }

    def say(self, kind: str, **values: Any) -> None:
        self.world.coordinator.heard(kind, self.index, values)

    def ping(self, number: int) -> None:
        self.world.now_s += 0.001
        theirs_s = self.world.now_s + self.offset_s
        self.world.now_s += 0.001
        self.say("pong", number=number, theirs_s=theirs_s, boot=self.boot)

    def start(self, at_s: float, offsets: dict[str, float]) -> None:
        self.start_at_s = at_s + offsets[str(self.index)]
        self.count(in_flight=1, measured_streams=1)

    def stage(self, stage: str) -> None:
        if stage == "drain":
            self.count(finished=True)

    def count(self, **counts: Any) -> None:
        self.say("counts", counts={"requests": 3, "output_tokens": 30, **counts})

    def save(self) -> None:
        path = f"/elsewhere/requests.{self.index}.parquet"
        if self.boot == HERE:
            path = str(Path(self.world.spec.records_dir) / f"requests.{self.index}.parquet")
            Path(path).parent.mkdir(exist_ok=True)
            Path(path).write_bytes(self.records)
        self.say("saved", path=path, bytes=10, records=10, peak_rss_bytes=1, cpu_s=0.1)

    def ship(self, worker: int) -> None:
        if worker == self.index:
            self.say("part", data=self.records[:4])
            self.say("part", data=self.records[4:])
            self.say("shipped")


class World:
    """A simulated clock; an order reaches every worker at once."""

    def __init__(self, spec: LoadSpec) -> None:
        self.spec, self.now_s = spec, 1000.0
        self.events: list[dict[str, Any]] = []
        self.orders: list[str] = []
        self.lost = ""
        self.coordinator = Coordinator(
            spec,
            to_workers=self.order,
            emit=lambda event, **values: self.events.append({"event": event, **values}),
            clock=lambda: self.now_s,
            sleep=self.sleep,
            boot=HERE,
            lost=lambda: self.lost,
        )
        self.workers = [Worker(self, index) for index in range(spec.processes)]

    def sleep(self, for_s: float) -> None:
        self.now_s += for_s

    def order(self, order: str, **values: Any) -> None:
        self.orders.append(order)
        for worker in self.workers:
            worker.answers[order](**values)

    def run(self) -> list[dict[str, Any]]:
        return self.coordinator.run(every_s=0.1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    stages = Stages(warm_up_s=1.0, window_s=2.0, window_limit_s=4.0, tail_s=0.5, drain_limit_s=30.0)
    return World(load_spec(processes=2, stages=stages, records_dir=str(tmp_path / "records")))


def test_a_cell_goes_through_its_stages_and_gathers_every_file(world: World) -> None:
    parts = world.run()
    stages = [event["stage"] for event in world.events if event["event"] == "stage"]
    assert stages == ["ramp", "window", "tail", "drain"]
    assert [(part["worker"], part["offset_s"], part["same_machine"]) for part in parts] == [
        (0, 0.0, True),
        (1, 0.0, True),
    ]
    assert [Path(part["path"]).read_bytes() for part in parts] == [b"\0" * 10, b"\1" * 10]
    assert "ship" not in world.orders, "files of this machine are read where they lie"
    progress = [event for event in world.events if event["event"] == "progress"]
    assert progress[-1]["output_tokens"] == 60, "two workers' counts are added up"


def test_all_start_at_one_instant_each_on_its_own_clock(world: World) -> None:
    world.workers[1] = Worker(world, 1, offset_s=-50.0, boot="another-machine")
    world.run()
    here, there = (worker.start_at_s for worker in world.workers)
    assert here is not None
    assert there is not None
    assert there == pytest.approx(here - 50.0, abs=0.002)


def test_records_of_another_machine_are_sent_with_the_offset_of_its_clock(world: World) -> None:
    world.workers[1] = Worker(world, 1, offset_s=7.25, boot="another-machine")
    own, theirs = world.run()
    assert own["same_machine"]
    assert not theirs["same_machine"]
    assert theirs["offset_s"] == pytest.approx(7.25, abs=0.002)
    assert 0 < theirs["uncertainty_s"] < 0.01
    assert Path(theirs["path"]).read_bytes() == b"\1" * 10
    assert Path(theirs["path"]).parent == Path(world.spec.records_dir)


def test_a_worker_without_a_common_file_system_sends_its_records_too(world: World) -> None:
    """A container, or a worker started by hand, has this machine's clock and files of its own."""
    worker = world.workers[0]
    worker.answers["save"] = lambda: worker.say("saved", path="/nowhere/0.parquet", bytes=10, records=10)
    own, _ = world.run()
    assert Path(own["path"]).read_bytes() == b"\0" * 10
    assert own["offset_s"] == 0.0


def test_records_that_cannot_be_kept_end_the_cell(world: World) -> None:
    world.workers[1] = Worker(world, 1, boot="another-machine")
    good = world.workers[1].answers["ship"]

    def ship(worker: int) -> None:
        copy = Path(world.spec.records_dir) / "requests.1.parquet"
        copy.mkdir(exist_ok=True)  # as good as a full disk
        good(worker=worker)

    world.workers[1].answers["ship"] = ship
    with pytest.raises(WorkerFailedError, match="the records of worker 1 cannot be kept"):
        world.run()


def test_a_worker_that_cannot_prepare_ends_the_cell_with_its_words(world: World) -> None:
    world.workers[1].answers["prepare"] = lambda **_: world.workers[1].say("failed", error="no such file")
    with pytest.raises(WorkerFailedError, match="worker 1: no such file"):
        world.run()
    assert "start" not in world.orders


def test_a_worker_that_never_answers_ends_the_cell(world: World) -> None:
    world.workers[1].answers["prepare"] = lambda **_: None
    with pytest.raises(WorkerFailedError, match="not every worker has prepared"):
        world.run()
    assert world.now_s == pytest.approx(1000.0 + ANSWER_LIMIT_S, abs=1.0)


@pytest.mark.parametrize("order", ["prepare", "start", "save"])
def test_a_worker_that_has_gone_ends_the_cell_at_once(order: str, world: World) -> None:
    def vanish(**_: object) -> None:
        world.lost = "1 of 2 load processes have gone"

    world.workers[1].answers[order] = vanish
    with pytest.raises(WorkerFailedError, match="have gone"):
        world.run()
    assert world.now_s < 1020.0


def test_a_worker_that_has_not_counted_yet_has_not_finished(world: World) -> None:
    """Of two workers one is silent in the drain: the cell waits for it, up to the limit."""
    silent = world.workers[1]
    silent.answers["stage"] = lambda **_: None
    silent.answers["start"] = lambda **_: None
    stages = world.spec.stages
    world.workers[0].answers["start"] = lambda **_: world.workers[0].count(measured_streams=2)
    world.run()
    assert world.now_s > 1000.0 + stages.warm_up_s + stages.window_s + stages.drain_limit_s


def test_how_long_a_worker_was_silent_stands_beside_its_file(world: World) -> None:
    first, second = world.workers

    def stage(stage: str) -> None:
        first.count(finished=stage == "drain")
        if stage == "window":
            world.now_s += 1.5  # held up, or its messages were
        if stage != "ramp":
            second.stage("drain")

    first.answers["stage"] = stage
    silences = [part["longest_silence_s"] for part in world.run()]
    assert silences[0] == pytest.approx(2.3, abs=0.6)
    assert silences[0] >= 1.5


def test_a_cell_that_is_stopped_from_outside_ends_as_failed(world: World) -> None:
    world.workers[0].answers["start"] = lambda **_: world.coordinator.stop("stopped on the page")
    with pytest.raises(WorkerFailedError, match="stopped on the page"):
        world.run()


def test_an_unknown_word_is_a_mistake_of_ours(world: World) -> None:
    with pytest.raises(ValueError, match="nobody knows"):
        world.coordinator.heard("hello", 0, {})

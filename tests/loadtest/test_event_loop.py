"""What the load needs of the event loop: reads in its own callback, instants of the clock, failures carried over."""

import contextlib
import gc
import socket
import time
from collections.abc import Iterator

import gevent
import pytest

from loadtest.event_loop import Alarm, Readable, collect_garbage_seldom, plain_socket, wait_writable


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    with contextlib.closing(Alarm()) as alarm:
        yield alarm


def run(*tasks: gevent.Greenlet) -> None:
    # joinall counts its timeout from the loop's cached time: minutes old if other tests ran since, so it ended at once.
    gevent.get_hub().loop.update_now()
    gevent.joinall(tasks, timeout=20, raise_error=True)
    assert all(task.ready() for task in tasks)


def test_reads_are_taken_until_there_is_enough_while_others_run(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    taken: list[bytes] = []
    others: list[int] = []

    def take() -> bool:
        taken.append(ours.recv(100))
        return len(taken) == 3

    def talk() -> None:
        for word in (b"one", b"two", b"three"):
            theirs.send(word)
            gevent.sleep(0.02)
            others.append(len(taken))

    readable = Readable(ours)
    run(gevent.spawn(readable.run, take, 10.0), gevent.spawn(talk))
    readable.close()
    assert taken == [b"one", b"two", b"three"]
    assert others == [1, 2, 3]


def test_nothing_to_read_is_a_timeout_and_a_failure_is_the_readers(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    with contextlib.closing(Readable(ours)) as readable:
        with pytest.raises(TimeoutError):
            run(gevent.spawn(readable.run, lambda: True, 0.05))
        theirs.send(b"x")

        def broken() -> bool:
            raise ValueError("not what was promised")

        with pytest.raises(ValueError, match="promised"):
            run(gevent.spawn(readable.run, broken, 10.0))
        run(gevent.spawn(readable.run, lambda: ours.recv(1) == b"x", 10.0))


def test_a_peer_that_does_not_read_is_a_timeout(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    wait_writable(ours, 1.0)
    with contextlib.suppress(BlockingIOError):
        while True:
            ours.send(b"x" * 65536)
    with pytest.raises(TimeoutError):
        run(gevent.spawn(wait_writable, ours, 0.05))
    waiting = gevent.spawn(wait_writable, ours, 10.0)
    gevent.sleep(0)
    theirs.recv(1 << 22)
    run(waiting)


def test_an_alarm_wakes_in_the_order_of_time_never_early(alarm: Alarm) -> None:
    woken: list[float] = []
    base_s = time.monotonic() + 0.02

    def sleeper(after_s: float) -> None:
        alarm.sleep_until(base_s + after_s)
        assert time.monotonic() >= base_s + after_s
        woken.append(after_s)

    times = [0.05, 0.01, 0.03, 0.0, 0.02, 0.04]
    run(*(alarm.spawn(sleeper, after_s) for after_s in times))
    assert woken == sorted(times)


def test_an_alarm_lets_a_hundred_sleep_until_one_instant(alarm: Alarm) -> None:
    at_s = time.monotonic() + 0.05
    sleepers = [gevent.spawn(alarm.sleep_until, at_s) for _ in range(100)]
    run(*sleepers)
    assert time.monotonic() >= at_s


def test_what_has_passed_is_not_waited_for(alarm: Alarm) -> None:
    switched: list[int] = []
    other = gevent.spawn(switched.append, 1)
    alarm.sleep_until(time.monotonic() - 1.0)
    assert not switched, "not even another greenlet ran"
    run(other)


def test_a_plain_socket_is_the_same_connection_and_does_not_block() -> None:
    ours, theirs = socket.socketpair()
    number = ours.fileno()
    with plain_socket(ours) as plain, theirs:
        assert plain.fileno() == number
        assert ours.fileno() == -1
        with pytest.raises(BlockingIOError):
            plain.recv(1)


def test_the_collector_no_longer_runs_by_itself() -> None:
    try:
        collect_garbage_seldom()
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.enable()

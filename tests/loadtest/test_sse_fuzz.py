"""The splitter against a slow reading of the standard that handles one byte at a time, on 10,000 streams and more."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtest.sse import SseSplitter

MARK = "\ufeff".encode()


def reference(stream: bytes) -> list[bytes]:
    """HTML standard, 9.2.6, word for word: decode nothing, take lines, interpret each, dispatch on blank ones."""
    if stream.startswith(MARK):
        stream = stream[len(MARK) :]
    lines, line, position = [], bytearray(), 0
    while position < len(stream):
        byte = stream[position : position + 1]
        position += 1
        if byte in (b"\r", b"\n"):
            if byte == b"\r" and stream[position : position + 1] == b"\n":
                position += 1
            lines.append(bytes(line))
            line.clear()
        else:
            line += byte
    # `line` now holds what no line end followed: the standard discards it, and the event it belongs to.
    events, buffer = [], b""
    for whole in lines:
        if whole == b"":
            if buffer != b"":
                events.append(buffer.removesuffix(b"\n"))
            buffer = b""
        elif whole.startswith(b":"):
            continue
        else:
            field, _, value = whole.partition(b":")
            if field == b"data":
                buffer += value.removeprefix(b" ") + b"\n"
    return events


def fed(pieces: list[bytes]) -> tuple[list[bytes], SseSplitter]:
    splitter = SseSplitter()
    return [event for piece in pieces for event in splitter.feed(piece)], splitter


ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12).map(str.encode)
one_line = texts.map(lambda text: text.replace(b"\r", b"").replace(b"\n", b""))
names = st.sampled_from(
    [b"data", b"data:", b"data: ", b"data:  ", b"data :", b" data: ", b"Data: ", b"dat", b"datax: ", b"event: ",
     b"id: ", b"retry: ", b":", b": ", b"", MARK, MARK + b"data: "]
)  # fmt: skip
blank = st.sampled_from([b"\n\n", b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n"])
served = st.tuples(st.just(b"data: "), one_line, blank).map(b"".join)  # what model servers send
almost = st.tuples(  # what looks like it until one looks closely
    st.just(b"data: "), one_line, st.sampled_from([b"", b"\r", b"\n"]), one_line, st.just(b"\n"),
    st.sampled_from([b"\n", b"\r", b"x", b":", b"\n\n"]),
).map(b"".join)  # fmt: skip
line = st.tuples(names, one_line, ends).map(b"".join)
parts = st.one_of(served, served, almost, line, ends, st.binary(max_size=6), st.just(MARK))


@st.composite
def reads(draw: st.DrawFn) -> list[bytes]:
    """A stream in pieces: cut between its parts, as a server writes them, or anywhere, or both."""
    pieces = draw(st.lists(parts, max_size=14))
    if not draw(st.booleans()):
        return pieces
    stream = b"".join(pieces)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(reads())
def test_any_stream_under_any_split_gives_the_events_of_the_standard(pieces: list[bytes]) -> None:
    assert fed(pieces)[0] == reference(b"".join(pieces))


@settings(max_examples=400, deadline=None)
@given(reads())
def test_byte_by_byte_gives_the_events_of_the_standard(pieces: list[bytes]) -> None:
    """The hardest split there is, and none at all."""
    stream = b"".join(pieces)
    expected = reference(stream)
    assert fed([stream[index : index + 1] for index in range(len(stream))])[0] == expected
    assert fed([stream])[0] == expected


@settings(max_examples=400, deadline=None)
@given(reads())
def test_an_event_comes_with_the_byte_that_completes_it(pieces: list[bytes]) -> None:
    """No event waits for bytes that it does not need: its time of arrival would be theirs."""
    splitter, so_far, events = SseSplitter(), b"", 0
    for piece in pieces:
        so_far += piece
        events += len(splitter.feed(piece))
        assert events == len(reference(so_far))


@settings(max_examples=400, deadline=None)
@given(reads())
def test_pending_says_whether_anything_follows_the_last_event(pieces: list[bytes]) -> None:
    """Seen from outside: pending, unless what came since the last event is nothing but line ends."""
    splitter, since = SseSplitter(), b""
    for piece in pieces:
        for index in range(len(piece)):
            if splitter.feed(piece[index : index + 1]):
                since = b""
            else:
                since += piece[index : index + 1]
            assert splitter.pending == bool(since.strip(b"\r\n"))


@settings(max_examples=200, deadline=None)
@given(st.lists(one_line, min_size=1, max_size=30))
def test_a_read_per_event_takes_the_short_way_and_is_right(payloads: list[bytes]) -> None:
    """What a model server does nearly always."""
    events, splitter = fed([b"data: " + payload + b"\n\n" for payload in payloads])
    assert events == payloads
    assert not splitter.pending

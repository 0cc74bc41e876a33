from hypothesis import given
from hypothesis import strategies as st

from loadtest.sse import SseSplitter

payloads = st.lists(
    st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=("Cs",)), min_size=1),
    max_size=12,
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(payloads, ends, st.data())
def test_any_split_of_the_bytes_gives_the_same_events(
    texts: list[str], end: bytes, data: st.DataObject
) -> None:
    """Multi-byte characters and line ends may be cut anywhere."""
    wire = b"".join(b"data: " + text.encode() + end + end for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=20)))
    splitter, events = SseSplitter(), []
    for begin, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        events += splitter.feed(wire[begin:stop])
    assert [event.decode() for event in events] == texts
    assert not splitter.pending


@given(st.binary(max_size=400))
def test_no_bytes_crash_it(garbage: bytes) -> None:
    splitter = SseSplitter()
    for index in range(len(garbage)):
        splitter.feed(garbage[index : index + 1])


def test_comments_and_other_fields_are_skipped_and_data_lines_joined() -> None:
    wire = b": keep-alive\nevent: x\nid: 7\ndata: a\ndata:b\nretry: 3\n\n\n\ndata: c\n\n"
    assert SseSplitter().feed(wire) == [b"a\nb", b"c"]


def test_a_lone_carriage_return_ends_an_event_at_once_and_swallows_the_other_half_of_its_line_end() -> None:
    """Waiting for the next byte would date the event by the one after it."""
    splitter = SseSplitter()
    assert splitter.feed(b"data: a\r\r") == [b"a"]
    assert splitter.feed(b"\ndata: b\r\n\r") == [b"b"]
    assert splitter.feed(b"\n") == []
    assert splitter.feed(b"data: c\n\n") == [b"c"]


def test_a_comment_after_an_event_is_pending() -> None:
    """The read's time is the comment's, not the event's."""
    splitter = SseSplitter()
    assert splitter.feed(b"data: a\n\n: ping\n\n") == [b"a"]
    assert splitter.pending
    assert splitter.feed(b"data: b\n\n") == [b"b"]
    assert not splitter.pending


def test_a_large_event_read_byte_by_byte_costs_no_more_than_its_size() -> None:
    """Copying what is held at each byte would take minutes here."""
    splitter = SseSplitter()
    for byte in b"data: " + b"x" * 1_000_000:
        assert splitter.feed(bytes((byte,))) == []
    assert splitter.feed(b"\n\n") == [b"x" * 1_000_000]


def test_an_unfinished_event_is_pending() -> None:
    splitter = SseSplitter()
    assert splitter.feed(b"data: a\n") == []
    assert splitter.pending
    assert splitter.feed(b"\n") == [b"a"]
    assert not splitter.pending

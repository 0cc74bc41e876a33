"""One HTTP answer as it comes in: status, the headers that matter, and its body handed on piece by piece.

The framing (chunks, lengths, interim answers, trailers) is llhttp's, through geventhttpclient's parser.
"""

from __future__ import annotations

from collections.abc import Callable

from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

__all__ = ["HTTPParseError", "HttpAnswer"]

_KEPT_HEADERS = frozenset({"content-type", "location", "retry-after"})


class HttpAnswer(HTTPResponseParser):  # type: ignore[misc, unused-ignore] # a C type
    """Feed it what was read; `on_head` and `on_body` are called as the parts become known.

    `complete` is true once the answer is whole. Names of the overridden methods are the parser's.
    """

    def __init__(self, on_head: Callable[[HttpAnswer], None], on_body: Callable[[bytearray], None]) -> None:
        super().__init__()
        self._on_head = on_head
        self._on_body = on_body  # called by the parser with every piece of the body
        self._field = ""
        self._last_was_value = False
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.complete = False

    def forget(self) -> None:
        """Call nobody any more."""
        del self._on_head, self._on_body

    def _on_message_begin(self) -> None:
        self.complete = False
        self.headers = {}

    def _on_status(self, _phrase: str) -> None:
        pass

    def _on_header_field(self, part: str) -> None:
        # A name or a value may come in two parts, when a read ended inside it.
        self._field = part if self._last_was_value else self._field + part
        self._last_was_value = False

    def _on_header_value(self, part: str) -> None:
        name = self._field.lower()
        if name in _KEPT_HEADERS:
            self.headers[name] = (self.headers.get(name, "") if self._last_was_value else "") + part
        self._last_was_value = True

    def _on_headers_complete(self) -> None:
        self._field = ""
        self._last_was_value = False
        code = self.get_code()
        if code >= 200:  # 100 and 103 only announce the answer
            self.status = code
            self._on_head(self)

    def _on_message_complete(self) -> None:
        self.complete = self.status is not None

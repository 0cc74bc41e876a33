"""A page of metrics whose counters no longer move: what stands between two of them is all that was asked in between."""

from __future__ import annotations

import time

from accounting.counters import CounterSample
from serving.scrape import parse_page
from workbench.server_under_test import ServerUnderTest

_SETTLED_S = 0.5


def settled_page(server: ServerUnderTest) -> CounterSample:
    """Wait until the server is idle and two pages in a row are equal."""
    with server.endpoints() as endpoints:
        before = parse_page(endpoints.metrics_page())
        while True:
            time.sleep(_SETTLED_S)
            page = parse_page(endpoints.metrics_page())
            if page.counters == before.counters and not page.requests_in_server:
                return page
            before = page

"""Does this server's drafter remember answers: by its method where that is known, else by asking the same twice?

Suffix decoding keeps past answers as long as its server lives. Where the engine does not say what it drafts with (a server
that runs already, without dev mode) or drafts with a class of the user's own, a text that nobody asked for before is asked
for twice: a drafter that remembers needs far fewer steps for the second.
"""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from typing import Any

from accounting import metric_names
from accounting.counters import CounterSample
from accounting.errors import ServerError
from serving.endpoints import ServerEndpoints
from serving.scrape import parse_page
from workbench.server_under_test import ServerUnderTest

FORGETFUL = frozenset(
    {"ngram", "ngram_gpu", "draft_model", "eagle", "eagle3", "medusa", "mtp", "dflash", "dspark"}
)
#: A drafter without memory takes as many steps for the second answer as for the first.
FEWER_STEPS = 0.7
_TEXTS = 2
_TOKENS = 48
_DEADLINE_S = 60.0
_SYLLABLES = ("ka", "lo", "mi", "ner", "tu", "sab", "ri", "don", "ve", "pel", "qua", "zim")


@dataclass(frozen=True, slots=True)
class ServerMemory:
    """What a server can remember when a cell begins: tokens generated in its life, and whether its drafter keeps them.

    `remembers` is None where it is not known; `why_unknown` says why.
    """

    generated_tokens: float
    remembers: bool | None
    why_unknown: str = ""

    def plain(self) -> dict[str, Any]:
        """As cell.json keeps it."""
        return asdict(self)


def server_memory(server: ServerUnderTest, endpoints: ServerEndpoints, model: str) -> ServerMemory:
    """Look at an idle server; only one that answered before and does not say how it drafts is asked anything."""
    page = parse_page(endpoints.metrics_page())
    generated = page.counters.get(metric_names.GENERATION_TOKENS, 0.0)
    remembers = _by_method(server.resolved, page)
    if remembers is None:
        remembers = server.remembers
    if remembers is not None:
        return ServerMemory(generated, remembers)
    if not generated:
        return ServerMemory(generated, None, "the server had answered nothing yet")
    try:
        server.remembers = _by_asking_twice(endpoints, model)
    except ServerError as error:
        return ServerMemory(generated, None, f"asking the same twice failed: {error.message}")
    return ServerMemory(generated, server.remembers)


def _by_method(resolved: dict[str, Any], page: CounterSample) -> bool | None:
    """None where the method is not known, or a class of the user's own."""
    method = resolved.get("speculative_config.method")
    if method == "suffix":
        return resolved.get("speculative_config.suffix_decoding_max_cached_requests") != 0
    if method is None:
        # The counters are there from the start, and only where the server speculates.
        return None if metric_names.DRAFTS in page.counters else False
    return False if method in FORGETFUL or str(method).endswith("_mtp") else None


def _by_asking_twice(endpoints: ServerEndpoints, model: str) -> bool:
    """Whether the second answers took far fewer decode steps than the first.

    Raises:
        ServerError: if the server does not answer.
    """
    dice = random.SystemRandom()
    texts = [" ".join("".join(dice.choices(_SYLLABLES, k=3)) for _ in range(8)) for _ in range(_TEXTS)]
    taken = []
    for _ in range(2):
        before = _steps_when_idle(endpoints)
        for text in texts:
            prompt = f"A tale of the people called {text}:"
            endpoints.complete(prompt, model=model, tokens=_TOKENS, timeout_s=_DEADLINE_S)
        taken.append(_steps_when_idle(endpoints) - before)
    return taken[1] < FEWER_STEPS * taken[0]


def _steps_when_idle(endpoints: ServerEndpoints) -> float:
    deadline = time.monotonic() + _DEADLINE_S
    while (page := parse_page(endpoints.metrics_page())).requests_in_server:
        if time.monotonic() > deadline:
            raise ServerError("the server does not become idle")
        time.sleep(0.1)
    return page.counters.get(metric_names.DECODE_STEPS, 0.0)

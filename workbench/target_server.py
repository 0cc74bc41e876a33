"""A server of a target alone, for asking it many prompts at once: started for that, ended behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.models.checkpoint_facts import read_checkpoint_facts
from workbench.drafting.sections import server_with
from workbench.models import resolve_model
from workbench.server_under_test import ServerUnderTest, placement_for, started_server
from workbench.status_line import steps

Say = Callable[[str], None]


@contextmanager
def target_server(target: str, *, streams: int, log: Path, say: Say) -> Iterator[ServerUnderTest]:
    """The target, without speculation, as many at a time as are asked at once.

    Raises:
        ModelError: if the target cannot be had.
        ServerError: if it does not start.
    """
    model = resolve_model(target, base_dir=Path(), report=steps(say))
    facts = read_checkpoint_facts(Path(model.served_from))
    config = server_with(target, facts, {"method": "off"}, dtype="auto", streams=streams)
    log.parent.mkdir(parents=True, exist_ok=True)
    with started_server(config, placement_for(config, report=say), log_path=log, report=say) as server:
        yield server

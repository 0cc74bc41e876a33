"""`kilotoken serve`: one server in the foreground until Ctrl-C."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from serving.command import ServerCommand, build_command
from serving.config import ServerConfig
from serving.legality import cautions
from serving.number_type import this_processor_is_slow_in_16_bits
from workbench.server_under_test import ServerUnderTest, placement_for, started_server

_EXAMPLE = (
    "  curl -s {url}/v1/chat/completions -H 'content-type: application/json' \\\n"
    '    -d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "What is the capital of France?"}}], "temperature": 0}}\''
)


def command_for(config: ServerConfig, *, port: int, base_dir: Path) -> ServerCommand:
    """The command that `serve` would execute. Models are fetched if they are not here yet."""
    return build_command(config, placement_for(config, port=port, dev_mode=False, base_dir=base_dir))


def serve(config: ServerConfig, *, port: int, log_path: Path, base_dir: Path, console: Console) -> None:
    """Start the server and stay until it ends or the user stops it.

    Raises:
        ServerError: if the server dies.
    """
    with ExitStack() as running:
        with console.status("preparing") as status:
            report = _reporter(console, status)
            placement = placement_for(config, port=port, dev_mode=False, base_dir=base_dir, report=report)
            server = running.enter_context(
                started_server(config, placement, log_path=log_path, report=report)
            )
        slow = this_processor_is_slow_in_16_bits()
        for caution in cautions(config, placement.device, slow=slow, auto_dtype=placement.auto_dtype):
            console.print(f"Caution: {caution}.", style="yellow", markup=False, soft_wrap=True)
        _stay(server, log_path, console)


def _reporter(console: Console, status: Status) -> Callable[[str], None]:
    """A live line on a terminal; elsewhere one plain line per stage."""
    said: set[str] = set()

    def report(text: str) -> None:
        status.update(escape(text))
        stage = re.sub(r" \(\d+ s\)$| \d+%$", "", text)
        if not console.is_terminal and stage not in said:
            said.add(stage)
            console.print(stage, markup=False)

    return report


def _stay(server: ServerUnderTest, log_path: Path, console: Console) -> None:
    """Tell how to use the server, and watch it until the user stops it."""
    try:
        console.print(f"Ready after {server.startup_s:.0f} s at {server.base_url}/v1 (log: {log_path}). Try:")
        console.print(
            _EXAMPLE.format(url=server.base_url, model=server.model_name), markup=False, soft_wrap=True
        )
        console.print("Ctrl-C ends it.")
        while True:
            server.check_alive("while serving")
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.print("Ending the server.")

"""`kilotoken serve`: one server in the foreground until Ctrl-C."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from serving.command import ServerCommand, build_command
from serving.config import ServerConfig
from workbench.server_under_test import placement_for, started_server

_EXAMPLE = (
    "  curl -s {url}/v1/chat/completions -H 'content-type: application/json' \\\n"
    '    -d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "What is the capital of France?"}}]}}\''
)


def command_for(config: ServerConfig, *, port: int, base_dir: Path) -> ServerCommand:
    """The command that `serve` would execute. Models are fetched if they are not here yet."""
    return build_command(config, placement_for(config, port=port, dev_mode=False, base_dir=base_dir))


def serve(config: ServerConfig, *, port: int, log_path: Path, base_dir: Path, console: Console) -> None:
    """Start the server and stay until it ends or the user stops it.

    Raises:
        ServerError: if the server dies.
    """
    with console.status("preparing") as status:
        placement = placement_for(
            config,
            port=port,
            dev_mode=False,
            base_dir=base_dir,
            report=lambda text: status.update(escape(text)),
        )
        started = started_server(
            config, placement, log_path=log_path, report=lambda text: status.update(escape(text))
        )
        server = started.__enter__()
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
    finally:
        started.__exit__(None, None, None)

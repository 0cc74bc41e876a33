"""A server for one block: started from a config, or attached to where it already runs.

Composes model resolution, command line, supervised process and health wait into one object that the cells
use. `engine.device: fake` starts kilotoken's own fake server through the very same path.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accounting.errors import ConfigError, ServerError
from serving.command import Placement, ServerCommand, build_command
from serving.config import ServerConfig
from serving.endpoints import ServerEndpoints
from serving.free_port import claim_port
from serving.preloads import find_preloads, found_paths
from serving.process import ServerProcess
from serving.resolved import flatten_server_info
from serving.speculation import CustomClassSpeculation
from serving.vllm_names import names_for
from workbench.experiment import AttachSection
from workbench.preparation import prepare

Report = Callable[[str], None]
FAKE_MODULE = "serving.fake_server"


@dataclass
class ServerUnderTest:
    """What a cell needs to know of its server."""

    base_url: str
    model_name: str
    api_key: str | None = None
    process: ServerProcess | None = None
    command: ServerCommand | None = None
    startup_s: float | None = None
    resolved: dict[str, Any] = field(default_factory=dict)
    version: str | None = None
    is_vllm: bool = True
    """Whether vLLM's own request fields may be sent; other servers may refuse what they do not know."""
    remembers: bool | None = None
    """Whether its drafter remembers answers, once it has been asked; a property of the process."""

    def check_alive(self, when: str) -> None:
        """Raise ServerError with the cause if a server that we started has ended."""
        if self.process is not None:
            self.process.check_alive(when)

    def explain_death(self, when: str, *, within_s: float = 2.0) -> None:
        """After a failure: if the server that we started has ended (its exit may still be on its way), say that.

        A refused connection is a consequence; the user reads the cause.
        """
        deadline = time.monotonic() + within_s
        while self.process is not None and time.monotonic() < deadline:
            self.check_alive(when)
            time.sleep(0.1)

    def endpoints(self) -> ServerEndpoints:
        """A new client of the server's side doors."""
        return ServerEndpoints(self.base_url, api_key=self.api_key)


def placement_for(
    config: ServerConfig,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    report: Report = lambda _text: None,
    dev_mode: bool = True,
    base_dir: Path = Path(),
) -> Placement:
    """Resolve what the config leaves to the machine: engine, models, port, preloads."""
    if config.engine.device == "fake":
        name = config.model.served_model_name or config.model.name
        return Placement(
            python=sys.executable,
            device="cpu",
            host=host,
            port=claim_port(port, host),
            model_path=config.model.name,
            served_model_name=name,
            module=FAKE_MODULE,
            environment={"KILOTOKEN_FAKE_VLLM": "1"},
        )
    prepared = prepare(config, base_dir=base_dir, report=report)
    engine, target, draft = prepared.engine, prepared.target, prepared.draft
    return Placement(
        python=sys.executable,
        device=engine.device,
        host=host,
        port=claim_port(port, host),
        model_path=target.served_from,
        served_model_name=config.model.served_model_name or target.name,
        draft_path=draft.served_from if draft else None,
        preloads=found_paths(find_preloads()) if engine.device == "cpu" else (),
        dev_mode=dev_mode,
        python_path=_python_path(config, base_dir),
        names=names_for(engine.version),
        auto_dtype=prepared.auto_dtype,
    )


def _python_path(config: ServerConfig, base_dir: Path) -> str | None:
    """PYTHONPATH of the server of a custom proposer: its directory first, then what was set already.

    Raises:
        ConfigError: if there is no such directory.
    """
    speculation = config.speculation
    if not isinstance(speculation, CustomClassSpeculation) or speculation.python_path is None:
        return None
    directory = (base_dir / Path(speculation.python_path).expanduser()).resolve()
    if not directory.is_dir():
        raise ConfigError(f"speculation.python_path: there is no directory {directory}.")
    return os.pathsep.join(filter(None, [str(directory), os.environ.get("PYTHONPATH")]))


@contextmanager
def started_server(
    config: ServerConfig, placement: Placement, *, log_path: Path, report: Report
) -> Iterator[ServerUnderTest]:
    """Start the server, wait until healthy, read back what it resolved; end it on leaving."""
    command = build_command(config, placement)
    base_url = f"http://{placement.host}:{placement.port}"
    with ServerProcess(command, base_url=base_url, log_path=log_path) as process:
        startup_s = process.wait_until_healthy(
            config.engine.startup_deadline_s,
            report=lambda stage, elapsed: report(f"server: {stage} ({elapsed:.0f} s)"),
        )
        server = ServerUnderTest(
            base_url, placement.served_model_name, process=process, command=command, startup_s=startup_s
        )
        _read_back(server)
        yield server


@contextmanager
def attached_server(attach: AttachSection) -> Iterator[ServerUnderTest]:
    """Use a server that already runs.

    Raises:
        ConfigError: if the key's variable is not set, or the model is not served.
        ServerError: if nobody answers, or it is not an OpenAI-compatible server.
    """
    api_key = None
    if attach.api_key_env:
        api_key = os.environ.get(attach.api_key_env)
        if not api_key:
            raise ConfigError(f"api_key_env: the environment variable {attach.api_key_env} is not set.")
    base_url = attach.url.rstrip("/").removesuffix("/v1")
    server = ServerUnderTest(base_url, attach.model or "", api_key=api_key)
    served = _served_models(server)
    if attach.model is not None and attach.model not in served:
        raise ConfigError(f"model: {base_url} serves {', '.join(served)}, not {attach.model!r}.")
    server.model_name = attach.model or served[0]
    _read_back(server)
    yield server


def _served_models(server: ServerUnderTest) -> list[str]:
    """What the server lists at /v1/models; a server without that list is no OpenAI-compatible one."""
    with server.endpoints() as endpoints:
        try:
            served = endpoints.model_names()
        except ServerError as error:
            error.hint = error.hint or (
                "`url:` takes the address of an OpenAI-compatible server, with or without /v1: "
                "it must list its models at /v1/models."
            )
            raise
    if not served:
        raise ServerError(f"{server.base_url} serves no model.")
    return served


def _read_back(server: ServerUnderTest) -> None:
    with server.endpoints() as endpoints:
        server.version = endpoints.version()
        server.is_vllm = endpoints.speaks_vllm()
        info = endpoints.server_info()
    server.resolved = flatten_server_info(info) if info else {}

"""What `kilotoken load` does: one cell against a server that runs already, measured, judged, kept in a directory.

load.json  load.log  requests.parquet  host.jsonl       what was told, what came back, what else the host did
counters.parquet  metrics_*.prom  cell.json             where the server has vLLM's metrics
summary.json                                            what is printed
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from accounting.errors import ConfigError, Interrupted, MachineError, RunError, ServerError
from loadtest.arrivals import replay_schedule
from loadtest.config import LoadSpec, Replay
from loadtest.launch import Distribution, worker_processes
from loadtest.request_store import iterate_records
from loadtest.workloads import Split, Workload, load_workload
from serving.free_port import claim_port
from workbench.cell import IDLE_BEFORE, Progress, run_cell
from workbench.experiment import AttachSection, validated
from workbench.kv_blocks import KvBlocks, kv_blocks
from workbench.load_measures import measure_load
from workbench.load_request import LoadRequest, as_option
from workbench.natural_lengths import with_natural_lengths
from workbench.run_directory import CellDirectory, write_json
from workbench.server_under_test import ServerUnderTest, attached_server
from workbench.status_line import status_line

DEFAULT_BIND = "127.0.0.1:5557"


@dataclass(frozen=True, slots=True)
class Crew:
    """The load's processes as the user wants them: workers started by hand, their meeting place, a web page."""

    by_hand: bool = False
    bind: str = DEFAULT_BIND
    web_port: int | None = None

    def distribution(self) -> Distribution:
        """As the launcher takes it.

        Raises:
            ConfigError: if the address is none.
            MachineError: if a port is taken.
        """
        host, port = host_and_port(self.bind, option="--bind") if self.by_hand else ("127.0.0.1", 0)
        web = None if self.web_port is None else _claimed("--web", self.web_port)
        return Distribution(self.by_hand, (host, _claimed("--bind", port, host)), web)


def crew_of(*, processes: int | None, workers: int | None, bind: str | None, web_port: int | None) -> Crew:
    """The crew that these options stand for, None where one was not given.

    Raises:
        ConfigError: if they do not go together.
    """
    if workers is not None and processes is not None:
        raise ConfigError(
            "--workers and --processes were given together.",
            hint="--processes N starts N load processes here; --workers N waits for N that you start by hand.",
        )
    if bind is not None and workers is None:
        raise ConfigError(
            "--bind was given without --workers.",
            hint="Say for how many workers to wait there: --workers N.",
        )
    return Crew(by_hand=workers is not None, bind=bind or DEFAULT_BIND, web_port=web_port)


def _claimed(option: str, port: int, host: str = "127.0.0.1") -> int:
    try:
        return claim_port(port, host)
    except MachineError as error:
        raise MachineError(f"{option}: {error.message}", hint="Choose another port.") from error


def run_load(
    request: LoadRequest,
    *,
    url: str,
    model: str | None,
    api_key_env: str | None,
    out_dir: Path | None,
    crew: Crew,
    console: Console,
) -> dict[str, Any]:
    """Load the server and measure it; the document that is printed, also in `summary.json`.

    Raises:
        ConfigError: for wrong options, before anything is sent.
        ServerError: if nobody answers, or nothing but failures comes back.
        LoadError: if the load generator fails.
    """
    attach = _attach(url, model, api_key_env)
    # All is checked against a server that is not asked yet: a typing mistake must not wait for the network.
    planned = request.spec(base_url=url, model="", vllm_extensions=True, records_dir="")
    distribution = crew.distribution()
    directory = CellDirectory(_free_directory(out_dir, request))
    with status_line(console) as say:
        say("reading the workload")
        workload = load_workload(planned.workload, seed=planned.workload_seed)
        _check_workload(planned, workload)
        try:
            with attached_server(attach) as server:
                spec = request.spec(
                    base_url=server.base_url,
                    model=server.model_name,
                    vllm_extensions=server.is_vllm,
                    records_dir=str(directory.path.resolve() / "records"),
                )
                spec = with_natural_lengths(spec, workload, server, directory, say=say)
                if crew.by_hand:
                    say(f"waiting for {spec.processes} workers: kilotoken load-worker {crew.bind}")
                run_cell(
                    spec, server, directory, report=lambda p: say(_progress(p)), distribution=distribution
                )
        except KeyboardInterrupt:
            raise _stopped(directory) from None
    document = measure_load(
        spec, directory, workload, server=_about(server), kv=_blocks_of(server, directory)
    )
    write_json(directory.path / "summary.json", document)
    if document["requests"] and document["failed"] == document["requests"]:
        raise ServerError(
            f"every request failed: {_usual_error(directory)}",
            hint=f"The records are in {directory.requests}.",
        )
    console.print(f"Kept in {directory.path}", markup=False, soft_wrap=True)
    return document


def _attach(url: str, model: str | None, api_key_env: str | None) -> AttachSection:
    """The server that is meant.

    Raises:
        ConfigError: if an option cannot be used.
    """
    if not re.match(r"https?://[^\s/]", url):
        missing = "://" not in url
        raise ConfigError(
            f"--url {url!r} is no address of a server: it begins with http:// or https://.",
            hint=f"Did you mean http://{url}?" if missing else "For example http://127.0.0.1:8000.",
        )
    given = {"url": url, "model": model or None, "api_key_env": api_key_env or None}
    return validated(AttachSection, {key: value for key, value in given.items() if value}, origin="--url")


def _check_workload(spec: LoadSpec, workload: Workload) -> None:
    """See that the workload can be sent as asked.

    Raises:
        ConfigError: if it has no times to replay, or holds tokens that the endpoint does not take.
    """
    prompts = workload.of(Split.MEASURED)
    if isinstance(spec.arrivals, Replay):
        with as_option("--trace"):
            replay_schedule(prompts, spec.arrivals)
    if spec.endpoint == "chat" and any(prompt.token_ids is not None for prompt in prompts):
        raise ConfigError(
            f"{spec.workload}: its prompts are exact tokens, which /v1/chat/completions does not take.",
            hint="Give --endpoint completions, or let the workload be of words (its option text=words).",
        )


def _stopped(directory: CellDirectory) -> Interrupted:
    left = f"What was told and logged until then is in {directory.path}." if directory.path.exists() else ""
    return Interrupted("stopped as you asked; nothing was measured.", hint=left)


def _usual_error(directory: CellDirectory) -> str:
    errors = Counter(r.error for r in iterate_records(directory.requests) if not r.ok)
    return errors.most_common(1)[0][0]


def _progress(progress: Progress) -> str:
    rate = f", {progress.output_tokens_per_s:.0f} tokens/s" if progress.output_tokens_per_s else ""
    return f"{progress.stage.replace('_', '-')}{rate}"


def _blocks_of(server: ServerUnderTest, directory: CellDirectory) -> KvBlocks:
    page = directory.metrics_page(IDLE_BEFORE)
    return kv_blocks(server.resolved, page.read_text(encoding="utf-8") if page.exists() else "")


def _about(server: ServerUnderTest) -> dict[str, Any]:
    return {
        "url": server.base_url,
        "model": server.model_name,
        "version": server.version,
        "is_vllm": server.is_vllm,
    }


def _free_directory(given: Path | None, request: LoadRequest) -> Path:
    """Where to keep what is measured; the cell makes it, once there is something to keep.

    Raises:
        RunError: if something is there already.
    """
    name = request.trace or request.workload or "chat"
    stem = "".join(c if c.isalnum() or c in "._-" else "-" for c in name.split("?")[0].split("/")[-1])[:40]
    path = given or Path("loads") / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{stem}"
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(
            f"{path} is not empty.", hint="What is measured needs a directory of its own: give another --out."
        )
    return path


def host_and_port(text: str, *, option: str) -> tuple[str, int]:
    """HOST:PORT in two.

    Raises:
        ConfigError: if it is not that.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"{option} {text!r} is not HOST:PORT.", hint="For example 10.0.0.5:5557.")
    return host.strip("[]"), int(port)


def run_workers(master: str, *, processes: int, api_key_env: str | None, console: Console) -> None:
    """Lend this machine to a load that is decided elsewhere, until it ends.

    Raises:
        ConfigError: if the address or the key's variable is wrong.
        LoadError: if a worker ends badly.
    """
    host, port = host_and_port(master, option="MASTER")
    key = os.environ.get(api_key_env) if api_key_env else None
    if api_key_env and not key:
        raise ConfigError(f"--api-key-env: the environment variable {api_key_env} is not set.")
    console.print(f"{processes} worker{'s' if processes > 1 else ''} for {host}:{port}; Ctrl-C ends them.")
    worker_processes(host, port, processes=processes, api_key=key)

"""The fake server's command line, its own and vLLM's, and the process around it: the one place that prints.

With KILOTOKEN_FAKE_VLLM=1 in the environment it takes the place of vLLM: flags it does not know are ignored,
and KILOTOKEN_FAKE_ARGS (a shell-like string) adds flags of its own that vLLM's command line has no room for.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec

from accounting.errors import ConfigError, KilotokenError
from serving.fake_server.config import FakeServerConfig
from serving.fake_server.fault_manual import fault_manual
from serving.fake_server.fault_script import read_fault_script
from serving.fake_server.faults import FaultScript
from serving.fake_server.pace_noise import Pace, PaceNoise
from serving.fake_server.server import serve
from serving.fake_server.timing import Timing

_DEFAULT_DRAFT_TOKENS = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server until SIGTERM or Ctrl-C; returns the exit status."""
    try:
        config = config_from_command_line(sys.argv[1:] if argv is None else argv, os.environ)
        asyncio.run(_serve_until_signalled(config))
    except KilotokenError as error:
        print("\n".join(filter(None, (f"error: {error.message}", error.hint))), file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


def config_from_command_line(argv: Sequence[str], environ: Mapping[str, str]) -> FakeServerConfig:
    """The server that a command line asks for; unknown flags end the process unless it stands in for vLLM."""
    in_place_of_vllm = environ.get("KILOTOKEN_FAKE_VLLM") == "1"
    parser = _parser()
    if in_place_of_vllm:
        extra = shlex.split(environ.get("KILOTOKEN_FAKE_ARGS", ""))
        given, _ = parser.parse_known_args([*argv, *extra])
    else:
        given = parser.parse_args(argv)
    draft_tokens, method = _speculation(given.speculative_config)
    model = given.served_model_name[0] if given.served_model_name else given.model
    return FakeServerConfig(
        model=model,
        host=given.host,
        port=given.port,
        timing=Timing(
            ttft_s=given.ttft_s,
            tpot_s=given.tpot_s,
            tokens_per_chunk=_chunk_script(given.tokens_per_chunk, draft_tokens),
            max_concurrency=given.max_concurrency,
            jitter_s=given.jitter_s,
        ),
        noise=PaceNoise(
            block_noise=given.block_noise, step_noise=given.step_noise, life=given.life or _this_life()
        ),
        faults=read_fault_script(given.faults) if given.faults else FaultScript(),
        num_speculative_tokens=draft_tokens,
        speculative_method=method,
        seed=given.seed,
        api_key=_api_key(given.api_key_env, environ, in_place_of_vllm),
        max_model_len=given.max_model_len,
        block_size=given.block_size,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kilotoken fake-server", description="A server that answers like vLLM.", allow_abbrev=False
    )
    defaults, pace = FakeServerConfig(), Timing()
    parser.add_argument("--host", default=defaults.host)
    parser.add_argument("--port", type=int, default=defaults.port, help="0 takes any free port")
    parser.add_argument("--model", default=defaults.model)
    parser.add_argument("--served-model-name", nargs="+", help="the name requests use, if not --model")
    parser.add_argument("--ttft-s", type=float, default=pace.ttft_s, help="seconds to the first token")
    parser.add_argument("--tpot-s", type=float, default=pace.tpot_s, help="seconds per decode step")
    parser.add_argument("--jitter-s", type=float, default=pace.jitter_s, help="seconds either way, per step")
    parser.add_argument(
        "--block-noise", type=float, default=0.0, help="sd of log speed from one server life to the next"
    )
    parser.add_argument(
        "--step-noise",
        type=float,
        default=0.0,
        help="sd of log speed from one second to the next within a life",
    )
    parser.add_argument("--life", help="what noise is drawn from beside the seed; every start is another one")
    parser.add_argument("--tokens-per-chunk", help="a number, or a repeating list such as 1,4,2")
    parser.add_argument(
        "--max-concurrency", "--max-num-seqs", type=int, default=pace.max_concurrency,
        help="requests generated at a time; more wait",
    )  # fmt: skip
    parser.add_argument("--max-model-len", type=int, default=defaults.max_model_len)
    parser.add_argument("--block-size", type=int, default=defaults.block_size, help="tokens of a KV block")
    parser.add_argument("--faults", help="a JSON file or JSON text with fault rules; see --list-faults")
    parser.add_argument(
        "--list-faults", action=_PrintManual, nargs=0, help="say what a fault script may hold, and exit"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--api-key-env", help="name of the variable that holds the key to ask for")
    parser.add_argument("--speculative-config", help="as vLLM takes it: JSON with num_speculative_tokens")
    return parser


class _PrintManual(argparse.Action):
    """Prints the manual of fault scripts and ends, as --help does."""

    def __call__(self, parser: argparse.ArgumentParser, *_given: object) -> None:
        print(fault_manual())  # noqa: T201
        parser.exit()


def _chunk_script(given: str | None, draft_tokens: int) -> tuple[int, ...]:
    """Tokens per decode step: as given, else 1, else (speculating) a poor and a perfect draft in turn."""
    if given is None:
        return tuple(sorted({min(2, draft_tokens + 1), draft_tokens + 1}))
    try:
        return tuple(int(part) for part in given.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--tokens-per-chunk is {given!r}; give a number or a list such as 1,4,2"
        ) from error


def _speculation(given: str | None) -> tuple[int, str]:
    """Draft length (0 without speculation) and method of a --speculative-config."""
    if given is None:
        return 0, "ngram"
    try:
        value = msgspec.json.decode(given, type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise ConfigError(f"--speculative-config is not a JSON object: {error}") from error
    draft_tokens = value.get("num_speculative_tokens", _DEFAULT_DRAFT_TOKENS)
    if not isinstance(draft_tokens, int) or draft_tokens < 1:
        raise ConfigError(f"num_speculative_tokens is {draft_tokens!r}; it must be 1 or more")
    return draft_tokens, str(value.get("method", "draft_model"))


def _api_key(name: str | None, environ: Mapping[str, str], in_place_of_vllm: bool) -> str | None:
    if name is None:
        return environ.get("VLLM_API_KEY") or None if in_place_of_vllm else None
    if not environ.get(name):
        raise ConfigError(f"--api-key-env names {name}, but that variable is not set")
    return environ[name]


def _this_life() -> str:
    return f"{time.time_ns()}-{os.getpid()}"


async def _serve_until_signalled(config: FakeServerConfig) -> None:
    if config.noise.block_noise or config.noise.step_noise:
        drawn = Pace(config.noise, config.seed).block
        _print_line(f"INFO:     Pace noise of --life {config.noise.life}: log speed {drawn:+.4f}")
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(serve(config, ready=lambda _url: None, log=_print_line))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        return


def _print_line(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a server's log

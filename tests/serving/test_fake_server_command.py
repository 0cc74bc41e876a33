"""The fake server as a process: its own command line, vLLM's, the log, and how it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from accounting.errors import ConfigError
from serving.fake_server import Timing
from serving.fake_server.command import config_from_command_line
from serving.fake_server.pace_noise import PaceNoise

ROOT = Path(__file__).parents[2]
VLLM_ARGV = [
    "--host", "127.0.0.1", "--port", "0", "--model", "/models/smol", "--served-model-name", "smol",
    "--max-model-len", "2048", "--max-num-seqs", "8", "--enforce-eager", "--block-size", "16",
    "--speculative-config", '{"method": "ngram", "num_speculative_tokens": 6, "prompt_lookup_max": 4}',
]  # fmt: skip


@contextmanager
def process(*argv: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server as a child process, once it is up, and its URL."""
    child = subprocess.Popen(
        [sys.executable, "-m", "serving.fake_server", *argv],
        cwd=ROOT, env=os.environ | environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        lines: list[str] = []
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line)
            if "running on" in line:
                break
        assert "INFO:     Application startup complete.\n" in lines
        yield child, lines[-1].split("running on ")[1].split()[0]
    finally:
        child.kill()
        child.wait(10)
        child.stdout.close()


def test_sigterm_ends_it_at_once_with_a_stream_open() -> None:
    """Exit 0, no traceback, no waiting for the stream."""
    with (
        process("--model", "smol", "--tpot-s", "5") as (child, url),
        httpx.Client(trust_env=False, timeout=10) as client,
        client.stream("POST", f"{url}/v1/completions", json={"prompt": "a", "stream": True}) as response,
    ):
        assert response.status_code == 200
        lines = response.iter_lines()
        assert next(lines).startswith("data: {")
        child.send_signal(signal.SIGTERM)
        assert child.wait(5) == 0
        rest = child.stdout.read()
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
    assert "Application shutdown complete." in rest
    assert "Traceback" not in rest


def test_in_place_of_vllm_it_speculates_and_dies_when_scripted() -> None:
    """What a supervisor has to cope with."""
    environ = {
        "KILOTOKEN_FAKE_VLLM": "1",
        "KILOTOKEN_FAKE_ARGS": """--ttft-s 0 --tpot-s 0 --faults '[{"kind": "die", "exit_code": 3}]'""",
    }
    with process(*VLLM_ARGV, **environ) as (child, url):
        assert httpx.get(f"{url}/v1/models", trust_env=False).json()["data"][0]["id"] == "smol"
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{url}/v1/completions", json={"prompt": "a", "stream": True}, trust_env=False)
        assert child.wait(5) == 3


def test_vllms_command_line_becomes_a_config() -> None:
    """The flags that both servers know mean the same."""
    config = config_from_command_line(VLLM_ARGV, {"KILOTOKEN_FAKE_VLLM": "1", "VLLM_API_KEY": "k"})
    assert (config.model, config.max_model_len, config.api_key) == ("smol", 2048, "k")
    assert config.timing == Timing(tokens_per_chunk=(2, 7), max_concurrency=8)
    assert (config.draft_tokens, config.speculative_method) == (6, "ngram")


def test_noise_is_drawn_anew_at_every_start_unless_the_life_is_named() -> None:
    argv = ["--block-noise", "0.05", "--step-noise", "0.1"]
    named = config_from_command_line([*argv, "--life", "r1"], {})
    assert named.noise == PaceNoise(block_noise=0.05, step_noise=0.1, life="r1")
    one, other = (config_from_command_line(argv, {}).noise.life for _ in range(2))
    assert one
    assert one != other


def test_unknown_flags_are_errors_unless_in_place_of_vllm(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt flag must not pass unseen."""
    with pytest.raises(SystemExit) as caught:
        config_from_command_line(VLLM_ARGV, {})
    assert caught.value.code == 2
    assert "--enforce-eager" in capsys.readouterr().err


def test_its_own_command_line() -> None:
    """Every flag arrives in the config."""
    argv = [
        "--model",
        "m",
        "--ttft-s",
        "0.3",
        "--tpot-s",
        "0.1",
        "--tokens-per-chunk",
        "1,4,2",
        "--seed",
        "9",
    ]
    more = ["--max-concurrency", "3", "--faults", '[{"kind": "hang"}]', "--api-key-env", "KEY"]
    config = config_from_command_line([*argv, *more], {"KEY": "secret", "VLLM_API_KEY": "other"})
    assert config.timing == Timing(ttft_s=0.3, tpot_s=0.1, tokens_per_chunk=(1, 4, 2), max_concurrency=3)
    assert (config.seed, config.api_key, config.draft_tokens, len(config.faults.rules)) == (9, "secret", 3, 1)
    assert config_from_command_line([], {"VLLM_API_KEY": "other"}).api_key is None


@pytest.mark.parametrize(
    "argv",
    [
        ["--tokens-per-chunk", "1,x"],
        ["--api-key-env", "NOT_SET"],
        ["--speculative-config", "{"],
        ["--speculative-config", "[]"],
        ["--speculative-config", '{"num_speculative_tokens": 0}'],
        ["--faults", '[{"kind": "hnag"}]'],
    ],
)
def test_wrong_values_are_config_errors(argv: list[str]) -> None:
    """Exit status 2 and a message, not a traceback."""
    with pytest.raises(ConfigError):
        config_from_command_line(argv, {})


def test_errors_are_printed_as_one_paragraph() -> None:
    """On stderr, with the nearest name."""
    done = subprocess.run(
        [sys.executable, "-m", "serving.fake_server", "--faults", '[{"kind": "hnag"}]'],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: fault rule 0: kind 'hnag' is unknown")
    assert "did you mean 'hang'?" in done.stderr
    assert "Traceback" not in done.stderr

"""Which clients are compared, how each is told the same load, and where it says what it measured.

Every peer runs in an environment of its own, made once below the cache from `peers/*.txt` with pip; vLLM's is this
one. All ask for the same closed loop: N streams, answers of `ANSWER_TOKENS` tokens, a warm-up of `WARM_UP_S` where
the client knows one, and then `duration_s`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PEERS = Path(__file__).with_name("peers")
ANSWER_TOKENS = 100
WARM_UP_S = 4.0
MODEL = "exact"


@dataclass(frozen=True, slots=True)
class Said:
    """What a client reported. Milliseconds, tokens per second; None where it does not say."""

    ttft_p50_ms: float | None
    ttft_p99_ms: float | None
    tpot_p50_ms: float | None
    tokens_per_s: float | None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Load:
    """One run's load. `directory` is empty and the client's own; `tokenizer` is a local one."""

    url: str
    streams: int
    duration_s: float
    answer_s: float  # of an answer without any lost time
    directory: Path
    tokenizer: Path


@dataclass(frozen=True, slots=True)
class Client:
    """One client: how it is started, what it said. `prepare` makes its environment; its python, or why there is none."""

    name: str
    prepare: Callable[[Path], Path | str]
    argv: Callable[[Path, Load], list[str]]
    said: Callable[[Load], Said]


def _this_environment(_cache: Path) -> Path | str:
    return Path(sys.executable)


def _vllm_here(_cache: Path) -> Path | str:
    if importlib.util.find_spec("vllm") is None:
        return "vLLM is not installed in this environment (make setup)"
    return Path(sys.executable)


def environment_from(requirements: str) -> Callable[[Path], Path | str]:
    """A virtual environment with those pins, made once per content of the file."""

    def prepare(cache: Path) -> Path | str:
        pins = PEERS / requirements
        digest = hashlib.sha256(pins.read_bytes()).hexdigest()[:12]
        directory = cache / f"{pins.stem}-{digest}"
        python = directory / "bin" / "python"
        done = directory / ".installed"
        if done.exists():
            return python
        print(f"making the environment of {pins.stem} (once)", file=sys.stderr)
        for argv in (
            [sys.executable, "-m", "venv", "--clear", str(directory)],
            [str(python), "-m", "pip", "install", "-q", "-r", str(pins)],
        ):
            made = subprocess.run(argv, capture_output=True, text=True, check=False)
            if made.returncode != 0:
                last = (made.stderr.strip() or made.stdout.strip()).splitlines()[-1:]
                return f"its environment could not be made: {' '.join(last)}"
        done.touch()
        return python

    return prepare


def _own_argv(python: Path, load: Load) -> list[str]:
    return [
        *(str(python.with_name("kilotoken")), "load", "--url", load.url, "--streams", str(load.streams)),
        *("--warm-up", f"{WARM_UP_S:g}", "--duration", f"{load.duration_s:g}"),
        *("--output", f"fixed:{ANSWER_TOKENS}", "--json", "--out", str(load.directory / "out")),
    ]


def _own_said(load: Load) -> Said:
    document = json.loads((load.directory / "out" / "summary.json").read_bytes())
    return Said(
        document["ttft_ms"]["p50"],
        document["ttft_ms"]["p99"],
        document["tpot_ms"]["p50"],
        document["output_tokens_per_s"],
        {
            "client_lag_ms": {name: document["client_lag_ms"][name] for name in ("p50", "p99")},
            "send_lateness_ms": {name: document["send_lateness_ms"][name] for name in ("p50", "p99")},
            "censored_share": document["censored_share"],
            "clock": document["clock"],
            "verdict": document["verdict"],
            "reason": document["reason"],
        },
    )


def _vllm_argv(python: Path, load: Load) -> list[str]:
    rounds = round(load.duration_s / load.answer_s)
    return [
        *(str(python), str(PEERS / "vllm_bench_serve.py"), "--backend", "openai-chat"),
        *("--base-url", load.url, "--endpoint", "/v1/chat/completions", "--model", MODEL),
        *("--tokenizer", str(load.tokenizer), "--dataset-name", "random", "--random-input-len", "64"),
        *("--random-output-len", str(ANSWER_TOKENS), "--ignore-eos"),
        *("--num-prompts", str(load.streams * rounds), "--max-concurrency", str(load.streams)),
        *("--num-warmups", str(load.streams), "--percentile-metrics", "ttft,tpot"),
        *("--metric-percentiles", "50,99", "--disable-tqdm", "--save-result"),
        *("--result-dir", str(load.directory), "--result-filename", "result.json"),
    ]


def _vllm_said(load: Load) -> Said:
    result = json.loads((load.directory / "result.json").read_bytes())
    return Said(
        result["p50_ttft_ms"], result["p99_ttft_ms"], result["p50_tpot_ms"], result["output_throughput"]
    )


def _aiperf_argv(python: Path, load: Load) -> list[str]:
    return [
        *(str(python.with_name("aiperf")), "profile", "-m", MODEL, "-u", load.url, "--endpoint-type", "chat"),
        *("--streaming", "--tokenizer", str(load.tokenizer), "--use-server-token-count"),
        *("--use-legacy-max-tokens", "--extra-inputs", "ignore_eos:true"),
        *("--concurrency", str(load.streams), "--benchmark-duration", f"{load.duration_s:g}"),
        *("--warmup-duration", f"{WARM_UP_S:g}", "--prompt-input-tokens-mean", "64"),
        *("--prompt-output-tokens-mean", str(ANSWER_TOKENS), "--output-artifact-dir", str(load.directory)),
        *("--ui-type", "none", "--no-server-metrics", "--no-gpu-telemetry"),
    ]


def _aiperf_said(load: Load) -> Said:
    result = json.loads((load.directory / "profile_export_aiperf.json").read_bytes())
    ttft, tpot = result["time_to_first_token"], result["inter_token_latency"]
    return Said(ttft["p50"], ttft["p99"], tpot["p50"], result["output_token_throughput"]["avg"])


def _guidellm_argv(python: Path, load: Load) -> list[str]:
    backend = f"kind=openai_http,target={load.url},model={MODEL},request_format=/v1/chat/completions"
    return [
        *(str(python.with_name("guidellm")), "run", "--backend", backend),
        *("--profile", f"kind=concurrent,streams={load.streams},warmup={WARM_UP_S:g}"),
        *("--constraint", f"kind=max_duration,seconds={load.duration_s + WARM_UP_S:g}"),
        *("--tokenizer", f"kind=hf_auto,model={load.tokenizer}"),
        *("--data", f"kind=synthetic_text,prompt_tokens=64,output_tokens={ANSWER_TOKENS}"),
        *("--output", f"kind=json,path={load.directory / 'result.json'}", "--disable-console"),
    ]


def _guidellm_said(load: Load) -> Said:
    metrics = json.loads((load.directory / "result.json").read_bytes())["benchmarks"][0]["metrics"]

    def percentile(name: str, which: str) -> float | None:
        value = metrics[name]["successful"]["percentiles"][which]
        return None if value is None else float(value)

    return Said(
        percentile("time_to_first_token_ms", "p50"),
        percentile("time_to_first_token_ms", "p99"),
        percentile("inter_token_latency_ms", "p50"),
        metrics["output_tokens_per_second"]["successful"]["mean"],
    )


CLIENTS = (
    Client("kilotoken", _this_environment, _own_argv, _own_said),
    Client("vllm bench serve", _vllm_here, _vllm_argv, _vllm_said),
    Client("AIPerf", environment_from("aiperf.txt"), _aiperf_argv, _aiperf_said),
    Client("GuideLLM", environment_from("guidellm.txt"), _guidellm_argv, _guidellm_said),
)


def child_environment(client: Client) -> dict[str, str]:
    """The child's environment variables: nothing is fetched from a hub. AIPerf takes a local tokenizer only online."""
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**os.environ, **quiet, **({} if client.name == "AIPerf" else {"HF_HUB_OFFLINE": "1"})}


def write_tokenizer(directory: Path) -> Path:
    """A tokenizer of one token per byte: peers that insist on one need no model and no network for it."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    vocabulary = {chr(byte if byte in printable else next(spare)): byte for byte in range(256)}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    end = {"id": 256, "content": "<end>", "special": True}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    directory.mkdir(parents=True, exist_ok=True)
    files = {
        "tokenizer.json": {
            "version": "1.0",
            "added_tokens": [end | flags],
            "normalizer": None,
            "pre_tokenizer": byte_level,
            "post_processor": None,
            "decoder": byte_level,
            "model": {"type": "BPE", "vocab": vocabulary | {"<end>": 256}, "merges": []},
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": "<end>",
            "pad_token": "<end>",
            "model_max_length": 131072,
            "chat_template": "{% for message in messages %}{{ message.content }}{% endfor %}",
        },
        "config.json": {"model_type": "gpt2", "vocab_size": 257, "bos_token_id": 256, "eos_token_id": 256},
    }
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content), encoding="utf-8")
    return directory

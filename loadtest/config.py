"""What one load child is told: a strict, frozen document that it reads from a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

#: Environment variables through which the parent hands the child its document and its event pipe.
SPEC_VARIABLE = "KILOTOKEN_LOAD_SPEC"
EVENTS_VARIABLE = "KILOTOKEN_LOAD_EVENTS_FD"
API_KEY_VARIABLE = "KILOTOKEN_LOAD_API_KEY"
PARENT_VARIABLE = "KILOTOKEN_LOAD_PARENT_PID"


class LoadSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One cell's load: closed-loop streams over one workload against one server. Times in seconds."""

    base_url: str
    model: str
    streams: int
    workload: str  # a catalogue name or the path of a JSONL file
    workload_seed: int
    order_seed: int  # equal for all arms of a repeat: they see the same prompts in the same order
    slice_index: int  # cells of one server life draw from disjoint slices of the prompts
    slice_count: int
    max_tokens: int
    ignore_eos: bool
    warm_up_s: float
    window_s: float
    window_limit_s: float
    completions_per_stream: int
    request_timeout_s: float
    records_path: str
    vllm_extensions: bool = (
        True  # whether fields that only vLLM knows may be sent; other servers may refuse them
    )
    cache_salt: str = ""  # vLLM keeps prefixes of different salts apart; empty sends none
    tail_s: float = 0.5  # load goes on this long after the window, so that its edge is scraped under load


def write_spec(spec: LoadSpec, path: Path) -> None:
    """Store the document where the child and a later reader find it."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(spec), indent=2))


def read_spec(path: Path) -> LoadSpec:
    """Read the document back, strictly."""
    return msgspec.json.decode(path.read_bytes(), type=LoadSpec)

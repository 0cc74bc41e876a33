"""Where the drafts of a finished draft or head agree with logged answers: one teacher-forced pass over each.

Run as `python -m drafts.training.draft_matches JOB.json`: a line of runs for each trace goes to the job's `out`. Exact for
greedy answers up to near-ties; the draft is computed in the type it is served in.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

from drafts.child_words import say, told
from drafts.distil.trainee import draft_matches
from drafts.eagle3.checkpoint import is_head, read_head
from drafts.eagle3.teacher import Eagle3Teacher, default_layers
from drafts.eagle3.trainee import head_matches
from drafts.replay.traces import Trace, read_traces

_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
Matches = Callable[[torch.Tensor], NDArray[np.bool_]]


class MatchJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Paths are absolute. `k`: the longest draft that is looked at."""

    traces: str
    target: str
    draft: str
    out: str
    k: int
    device: str = "cpu"
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"


def match(job: MatchJob) -> dict[str, Any]:
    """Write the runs of every trace; what was done.

    Raises:
        ConfigError: if a trace is none.
        ModelError: if the draft cannot be read.
    """
    traces = read_traces(Path(job.traces))
    of_text = _head(job) if is_head(Path(job.draft)) else _draft_model(job)
    out = Path(job.out)
    with out.open("w", encoding="utf-8") as file:
        for number, trace in enumerate(traces):
            say(stage="replaying answers", done=number, total=len(traces))
            matches = of_text(_text(trace, job.device))
            runs = np.cumprod(matches, axis=0).sum(axis=0)
            file.write(json.dumps(runs.tolist()) + "\n")
    return {"traces": len(traces), "out": str(out)}


def _text(trace: Trace, device: str) -> torch.Tensor:
    tokens = [*trace.prompt_token_ids, *trace.output_token_ids, *trace.beyond_token_ids]
    return torch.tensor([tokens], device=device)


def _draft_model(job: MatchJob) -> Matches:
    draft = _model(job.draft, job)

    @torch.inference_mode()
    def of_text(tokens: torch.Tensor) -> NDArray[np.bool_]:
        (found,) = draft_matches(draft, tokens, job.k)
        return found

    return of_text


def _head(job: MatchJob) -> Matches:
    target, read = _model(job.target, job), read_head(Path(job.draft))
    head = read.head.to(job.device, target.dtype)
    layers = read.layers or default_layers(target.config.num_hidden_layers)
    teacher, embedding = Eagle3Teacher(target, layers), target.get_input_embeddings()
    ids = torch.from_numpy(read.vocabulary.target_ids).to(job.device)

    @torch.inference_mode()
    def of_text(tokens: torch.Tensor) -> NDArray[np.bool_]:
        features = teacher.said_of(tokens)["features"][None].to(target.dtype)
        (found,) = head_matches(head, features, embedding(tokens), tokens, ids, job.k)
        return found

    return of_text


def _model(path: str, job: MatchJob) -> Any:
    return AutoModelForCausalLM.from_pretrained(path, dtype=_TYPES[job.dtype]).to(job.device).eval()


if __name__ == "__main__":
    sys.exit(told(lambda: match(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=MatchJob))))

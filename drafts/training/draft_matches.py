"""Where the drafts of a finished draft or head agree with logged answers: one teacher-forced pass over each.

Run as `python -m drafts.training.draft_matches JOB.json`: a line of runs for each trace goes to the job's `out`. Exact for
greedy answers up to near-ties; the draft is computed in the type it is served in.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForCausalLM

from drafts.child_words import say, told
from drafts.distil.trainee import draft_matches
from drafts.eagle3.checkpoint import is_head, read_head
from drafts.eagle3.teacher import Eagle3Teacher, default_layers
from drafts.eagle3.trainee import head_matches
from drafts.replay.traces import read_traces
from drafts.training.device import device_for
from drafts.training.walk import chain_matches

_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


class MatchJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Paths are absolute. `k`: the longest draft that is looked at.

    `sample_method`: greedy, the draft takes its likeliest tokens; probabilistic, it draws them at the request's temperature, which
    makes a difference on sampled answers.
    """

    traces: str
    target: str
    draft: str
    out: str
    k: int
    device: str | None = None
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    sample_method: Literal["greedy", "probabilistic"] = "greedy"

    @property
    def where(self) -> str:
        """The device that is computed on."""
        return device_for(self.device)


class Matcher(Protocol):
    """A draft over one text, tokens (1, length)."""

    def matches(self, tokens: Tensor) -> NDArray[np.bool_]:
        """(k, length): where the drafts of each chain are the text's own tokens."""

    def weights(self, tokens: Tensor, temperature: float) -> NDArray[np.float64]:
        """(k, length): with which probability each would have been accepted, had it been drawn (`drafts.replay.expected`)."""


def match(job: MatchJob) -> dict[str, Any]:
    """Write what is known of every trace; what was done.

    Raises:
        ConfigError: if a trace is none.
        ModelError: if the draft cannot be read.
    """
    traces = read_traces(Path(job.traces))
    drawn = job.sample_method == "probabilistic" and any(trace.temperature for trace in traces)
    made: Matcher = _Head(job) if is_head(Path(job.draft)) else _DraftModel(job, with_target=drawn)
    out = Path(job.out)
    with out.open("w", encoding="utf-8") as file:
        for number, trace in enumerate(traces):
            say(stage="replaying answers", done=number, total=len(traces))
            if drawn and trace.temperature:
                said = [*trace.prompt_token_ids, *trace.output_token_ids]
                weights = made.weights(torch.tensor([said], device=job.where), trace.temperature)
                file.write(json.dumps({"weights": weights.round(6).tolist()}) + "\n")
                continue
            said = [*trace.prompt_token_ids, *trace.output_token_ids, *trace.beyond_token_ids]
            matches = made.matches(torch.tensor([said], device=job.where))
            runs = np.cumprod(matches, axis=0).sum(axis=0)
            file.write(json.dumps({"runs": runs.tolist()}) + "\n")
    return {"traces": len(traces), "out": str(out)}


class _DraftModel:
    def __init__(self, job: MatchJob, *, with_target: bool) -> None:
        self.k, self.draft = job.k, _model(job.draft, job)
        self.target = _model(job.target, job) if with_target else None

    @torch.inference_mode()
    def matches(self, tokens: Tensor) -> NDArray[np.bool_]:
        (found,) = draft_matches(self.draft, tokens, self.k)
        return found

    @torch.inference_mode()
    def weights(self, tokens: Tensor, temperature: float) -> NDArray[np.float64]:
        assert self.target is not None
        log_p = log_of_next(self.target(tokens, use_cache=False).logits[0], tokens[0], temperature)
        log_q = log_of_next(self.draft(tokens, use_cache=False).logits[0], tokens[0], temperature)
        own = np.zeros(tokens.shape[1])
        own[1:] = accepted(log_p, log_q)
        return chain_matches(own, self.k)


class _Head:
    def __init__(self, job: MatchJob) -> None:
        self.k, self.target, read = job.k, _model(job.target, job), read_head(Path(job.draft))
        self.head = read.head.to(job.where, self.target.dtype)
        layers = read.layers or default_layers(self.target.config.num_hidden_layers)
        self.teacher = Eagle3Teacher(self.target, layers)
        self.ids = torch.from_numpy(read.vocabulary.target_ids).to(job.where)

    @torch.inference_mode()
    def matches(self, tokens: Tensor) -> NDArray[np.bool_]:
        embedded = self.target.get_input_embeddings()(tokens)
        (found,) = head_matches(self.head, self._features(tokens), embedded, tokens, self.ids, self.k)
        return found

    @torch.inference_mode()
    def weights(self, tokens: Tensor, temperature: float) -> NDArray[np.float64]:
        length = tokens.shape[1]
        log_p = log_of_next(self.target(tokens, use_cache=False).logits[0], tokens[0], temperature)
        embedded = self.target.get_input_embeddings()(tokens)
        found = np.zeros((self.k, length))
        columns = torch.full((self.target.config.vocab_size,), -1, device=tokens.device)
        columns[self.ids] = torch.arange(len(self.ids), device=tokens.device)
        for step, state in enumerate(self.head.unrolled(self._features(tokens), embedded, self.k)):
            rows = length - 2 - step
            if rows <= 0:
                break
            # Row i of step j stands in for token i + 2 + j, in a chain whose first draft stands in for token i + 2.
            said = (self.head.logits(state[0, :rows]).float() / temperature).log_softmax(dim=-1)
            column = columns[tokens[0, 2 + step :]]
            log_q = said.gather(-1, column.clamp_min(0)[:, None])[:, 0]
            log_q = torch.where(column >= 0, log_q, float("-inf"))
            found[step, 2 : 2 + rows] = accepted(log_p[1 + step :], log_q)
        return found

    def _features(self, tokens: Tensor) -> Tensor:
        return self.teacher.features(tokens)[None].to(self.target.dtype)


def log_of_next(logits: Tensor, tokens: Tensor, temperature: float) -> Tensor:
    """Log-probability of each next token at a temperature, (length - 1,)."""
    said = (logits[:-1].float() / temperature).log_softmax(dim=-1)
    return said.gather(-1, tokens[1:, None])[:, 0]


def accepted(log_p: Tensor, log_q: Tensor) -> NDArray[np.float64]:
    """min(1, q / p) of tokens that the target said."""
    return (log_q - log_p).clamp_max(0.0).exp().double().cpu().numpy()


def _model(path: str, job: MatchJob) -> Any:
    return AutoModelForCausalLM.from_pretrained(path, dtype=_TYPES[job.dtype]).to(job.where).eval()


if __name__ == "__main__":
    sys.exit(told(lambda: match(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=MatchJob))))

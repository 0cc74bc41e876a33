"""A first experiment for this machine, as a commented YAML file that a person can edit."""

from __future__ import annotations

from datetime import date

from serving.engine_build import EngineBuild

_TEMPLATE = """\
# yaml-language-server: $schema=experiment.schema.json
# {machine}
# Check it with `kilotoken validate {file}`, see what it would take with `kilotoken run {file} --dry-run`.
name: {name}
question: Does n-gram speculation make a thousand tokens cheaper on this machine, and at which load?

server:                      # what all arms share
  model:
    name: {model}
    max_model_len: 2048      # tokens, prompt and answer
  batching:
    max_num_seqs: 64         # most requests in one step
  engine:
    device: {device}
{engine}
arms:                        # what is different about each
  plain: {{}}
  ngram:
    speculation:
      method: ngram
      num_speculative_tokens: 6
      prompt_lookup_min: 2   # vLLM's own default window is 5 to 5
      prompt_lookup_max: 4
baseline: plain

workloads: [chat, copy]      # or JSONL files of your own prompts
loads:
  streams: {streams}         # closed-loop streams, one cell per value
output:
  length: free               # as answers end. natural: recorded once on the baseline, then exact for every arm
  max_tokens: {max_tokens}             # the longest answer
repeats: {repeats}                   # server lives per arm; four is the least that allows an interval

price:
  usd_per_hour: {usd_per_hour}       # REPLACE: what this box costs you per hour
  source: placeholder written by `kilotoken init`; replace it with your bill
  as_of: {as_of}
slo:
  ttft_s: {ttft_s}
  tpot_s: {tpot_s}
  attainment_floor: 0.95
"""


def first_experiment(
    *, name: str, file: str, machine: str, engine: EngineBuild | None, gpus: int, today: date
) -> str:
    """The file's text. On a CPU it is small enough to finish in half an hour."""
    on_gpu = gpus > 0 and (engine is None or engine.device == "cuda")
    return _TEMPLATE.format(
        machine=machine,
        file=file,
        name=name,
        model="meta-llama/Llama-3.1-8B-Instruct" if on_gpu else "smollm2-135m-instruct",
        device="auto",
        engine="" if on_gpu else "    enforce_eager: true      # ready sooner; compiled steps are faster\n",
        streams="[1, 8, 64]" if on_gpu else "[1, 16]",
        max_tokens=256 if on_gpu else 64,
        repeats=4,
        usd_per_hour="2.50" if on_gpu else "0.10",
        as_of=today.isoformat(),
        ttft_s="1.0",
        tpot_s="0.033" if on_gpu else "0.1",
    )

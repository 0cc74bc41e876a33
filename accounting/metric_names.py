"""Every vLLM metric name that kilotoken relies on, in one place.

A wrong name never fails a benchmark: it reads as zero. So the names live here and a golden test compares
them with a /metrics page captured from the real server with speculation on
(tests/serving/golden/). Names are those of the samples on the page, with the suffixes that
prometheus_client adds (`_total`, `_count`, `_sum`).
"""

GENERATION_TOKENS = "vllm:generation_tokens_total"
PROMPT_TOKENS = "vllm:prompt_tokens_total"
CACHED_PROMPT_TOKENS = "vllm:prompt_tokens_cached_total"
REQUESTS_FINISHED = "vllm:request_success_total"  # by finished_reason: stop, length, abort, error, repetition
PREEMPTIONS = "vllm:num_preemptions_total"
PREFIX_CACHE_QUERIES = "vllm:prefix_cache_queries_total"
PREFIX_CACHE_HITS = "vllm:prefix_cache_hits_total"

DRAFTS = "vllm:spec_decode_num_drafts_total"
DRAFT_TOKENS = "vllm:spec_decode_num_draft_tokens_total"
ACCEPTED_TOKENS = "vllm:spec_decode_num_accepted_tokens_total"
ACCEPTED_TOKENS_PER_POSITION = "vllm:spec_decode_num_accepted_tokens_per_pos_total"  # by position: 0, 1, ...

# One observation per request's first token, and one per later decode step of a request.
FIRST_TOKENS = "vllm:time_to_first_token_seconds_count"
DECODE_STEPS = "vllm:inter_token_latency_seconds_count"
# One observation per step of the engine that made a token, however many requests are in it: one that only reads a part
# of a prompt makes none.
ENGINE_STEPS = "vllm:iteration_tokens_total_count"

REQUESTS_RUNNING = "vllm:num_requests_running"
REQUESTS_WAITING = "vllm:num_requests_waiting"
KV_CACHE_USAGE = "vllm:kv_cache_usage_perc"  # a share between 0 and 1, despite its name
PROCESS_START_TIME = "process_start_time_seconds"

#: Counters without which no throughput can be stated.
REQUIRED_COUNTERS = (GENERATION_TOKENS, PROMPT_TOKENS, FIRST_TOKENS, DECODE_STEPS)

#: Counters that are present only where the server speculates.
SPECULATION_COUNTERS = (DRAFTS, DRAFT_TOKENS, ACCEPTED_TOKENS)

#: Counters that are read where present.
OPTIONAL_COUNTERS = (
    CACHED_PROMPT_TOKENS,
    REQUESTS_FINISHED,
    PREEMPTIONS,
    PREFIX_CACHE_QUERIES,
    PREFIX_CACHE_HITS,
    ENGINE_STEPS,
)

GAUGES = (REQUESTS_RUNNING, REQUESTS_WAITING, KV_CACHE_USAGE)

#: Summed over labels except where a label is the point: then it is kept as `name{label=value}`.
KEPT_LABEL = {REQUESTS_FINISHED: "finished_reason", ACCEPTED_TOKENS_PER_POSITION: "position"}

ALL_COUNTERS = (
    *REQUIRED_COUNTERS,
    *SPECULATION_COUNTERS,
    ACCEPTED_TOKENS_PER_POSITION,
    *OPTIONAL_COUNTERS,
)


def labelled(name: str, value: str) -> str:
    """The key under which a kept label's counter is stored: `name{label=value}`."""
    return f"{name}{{{KEPT_LABEL[name]}={value}}}"

"""The Prometheus page: vLLM 0.32's metric and label names, counting what this server really generated."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.fake_server.config import FakeServerConfig

FINISH_REASONS = ("stop", "length", "abort", "error", "repetition")


_LABELS = ("model_name", "engine")
_ENGINE = "0"
_TTFT_BUCKETS_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
    80.0, 160.0, 640.0, 2560.0,
)  # fmt: skip
_STEP_BUCKETS_S = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
)  # fmt: skip
_REQUEST_BUCKETS_S = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0,
    960.0, 1920.0, 7680.0,
)  # fmt: skip


@dataclass(slots=True)
class RequestTimes:
    """When a request came, got its slot, and yielded its first and last token: seconds on one clock.

    None where it never came to that.
    """

    arrived_s: float
    scheduled_s: float | None = None
    first_token_s: float | None = None
    last_token_s: float | None = None


class MetricsPage:
    """Counters and histograms of one server, kept in the registry it is given."""

    def __init__(self, registry: CollectorRegistry, config: FakeServerConfig, started_at_s: float) -> None:
        """`started_at_s` is the server's start, seconds since the epoch."""
        self._registry = registry
        self._labels = (config.model, _ENGINE)
        Gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            registry=registry,
        ).set(started_at_s)
        self._prompt_tokens = self._counter("vllm:prompt_tokens", "Number of prefill tokens processed.")
        self._cached = self._counter("vllm:prompt_tokens_cached", "Number of cached prompt tokens.")
        self._generated = self._counter("vllm:generation_tokens", "Number of generation tokens processed.")
        self._queries = self._counter("vllm:prefix_cache_queries", "Prefix cache queries, in tokens.")
        self._hits = self._counter("vllm:prefix_cache_hits", "Prefix cache hits, in tokens.")
        self._counter("vllm:num_preemptions", "Cumulative number of preemptions from the engine.")
        finished = Counter(
            "vllm:request_success",
            "Count of successfully processed requests.",
            (*_LABELS, "finished_reason"),
            registry=registry,
        )
        self._finished = {reason: finished.labels(*self._labels, reason) for reason in FINISH_REASONS}
        self._add_gauges(config)
        self._add_histograms()
        self._add_speculation(config.draft_tokens)

    def _add_gauges(self, config: FakeServerConfig) -> None:
        self._running = self._gauge("vllm:num_requests_running", "Number of requests being generated.")
        self._waiting = self._gauge("vllm:num_requests_waiting", "Number of requests waiting.")
        self._kv_usage = self._gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent.")
        facts = {
            "engine": _ENGINE,
            "block_size": str(config.block_size),
            "cache_dtype": "auto",
            "enable_prefix_caching": "True",
            "kv_cache_size_tokens": str(config.kv_cache_tokens),
            "num_gpu_blocks": str(config.kv_cache_tokens // config.block_size),
        }
        info = Gauge(
            "vllm:cache_config_info",
            "Information of the LLMEngine CacheConfig",
            tuple(facts),
            registry=self._registry,
        )
        info.labels(**facts).set(1)

    def _add_histograms(self) -> None:
        self._ttft = self._histogram("vllm:time_to_first_token_seconds", _TTFT_BUCKETS_S)
        self._step = self._histogram("vllm:inter_token_latency_seconds", _STEP_BUCKETS_S)
        self._e2e = self._histogram("vllm:e2e_request_latency_seconds", _REQUEST_BUCKETS_S)
        self._queue = self._histogram("vllm:request_queue_time_seconds", _REQUEST_BUCKETS_S)
        self._prefill = self._histogram("vllm:request_prefill_time_seconds", _REQUEST_BUCKETS_S)
        self._decode = self._histogram("vllm:request_decode_time_seconds", _REQUEST_BUCKETS_S)

    def _add_speculation(self, draft_tokens: int) -> None:
        """vLLM has these series only when it speculates."""
        self._draft_tokens_per_step = draft_tokens
        if not draft_tokens:
            return
        self._drafts = self._counter("vllm:spec_decode_num_drafts", "Number of spec decoding drafts.")
        self._drafted = self._counter("vllm:spec_decode_num_draft_tokens", "Number of draft tokens.")
        self._accepted = self._counter("vllm:spec_decode_num_accepted_tokens", "Number of accepted tokens.")
        per_position = Counter(
            "vllm:spec_decode_num_accepted_tokens_per_pos",
            "Accepted tokens per draft position.",
            (*_LABELS, "position"),
            registry=self._registry,
        )
        self._accepted_at = [
            per_position.labels(*self._labels, str(position)) for position in range(draft_tokens)
        ]

    def _counter(self, name: str, about: str) -> Counter:
        return Counter(name, about, _LABELS, registry=self._registry).labels(*self._labels)

    def _gauge(self, name: str, about: str) -> Gauge:
        return Gauge(name, about, _LABELS, registry=self._registry).labels(*self._labels)

    def _histogram(self, name: str, buckets_s: tuple[float, ...]) -> Histogram:
        about = f"Histogram of {name.removeprefix('vllm:').replace('_', ' ')}."
        metric = Histogram(name, about, _LABELS, registry=self._registry, buckets=buckets_s)
        return metric.labels(*self._labels)

    def count_scheduled(self, prompt_tokens: int, hit_tokens: int) -> None:
        """A prompt got its slot, and the prefix cache was asked for all of it."""
        self._queries.inc(prompt_tokens)
        self._hits.inc(hit_tokens)

    def count_first_token(self, prompt_tokens: int, hit_tokens: int, ttft_s: float) -> None:
        """The prompt was read, which yields one token; `ttft_s` runs from the request's arrival."""
        self._prompt_tokens.inc(prompt_tokens)
        self._cached.inc(hit_tokens)
        self._generated.inc(1)
        self._ttft.observe(ttft_s)

    def count_decode_step(self, tokens: int, gap_s: float, *, drafted: bool) -> None:
        """One decode step of one request; of a drafted step all tokens but the last were drafts accepted."""
        self._generated.inc(tokens)
        self._step.observe(gap_s)
        if drafted:
            self._drafts.inc()
            self._drafted.inc(self._draft_tokens_per_step)
            self._accepted.inc(tokens - 1)
            for position in self._accepted_at[: tokens - 1]:
                position.inc()

    def count_finished(self, reason: str, times: RequestTimes, now_s: float) -> None:
        """A request left the engine, for whatever reason."""
        self._finished[reason].inc()
        self._e2e.observe(now_s - times.arrived_s)
        scheduled_s = times.scheduled_s if times.scheduled_s is not None else now_s
        self._queue.observe(scheduled_s - times.arrived_s)
        if times.first_token_s is not None and times.last_token_s is not None:
            self._prefill.observe(times.first_token_s - scheduled_s)
            self._decode.observe(times.last_token_s - times.first_token_s)

    def render(self, *, running: int, waiting: int, kv_usage: float, without: tuple[str, ...] = ()) -> bytes:
        """The page as it stands, in the text format; families named in `without` are left out."""
        self._running.set(running)
        self._waiting.set(waiting)
        self._kv_usage.set(kv_usage)
        page = generate_latest(self._registry)
        return _leave_out(page, without) if without else page


def _leave_out(page: bytes, families: tuple[str, ...]) -> bytes:
    """The page without the lines of these families, named with or without `_total`."""
    stems = tuple(name.removesuffix("_total").encode() for name in families)
    endings = (b"", b"_total", b"_created", b"_bucket", b"_sum", b"_count")
    unwanted = {stem + ending for stem in stems for ending in endings}
    kept = []
    for line in page.splitlines(keepends=True):
        name = line.split()[2] if line.startswith(b"#") else line.split(b"{")[0].split()[0]
        if name not in unwanted:
            kept.append(line)
    return b"".join(kept)

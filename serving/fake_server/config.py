"""What one fake server is: its model, pace, faults and limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from accounting.errors import ConfigError
from serving.fake_server.faults import FaultScript
from serving.fake_server.pace_noise import PaceNoise
from serving.fake_server.timing import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeServerConfig:
    """Everything that decides what a fake server does; two servers with equal configs behave alike.

    `port` 0 takes any free one. `natural_length` bounds the tokens after which an answer ends by itself.
    `num_speculative_tokens` is the draft length k; left at 0 it follows from `timing.tokens_per_chunk`.
    Prefix-cache hits come in whole blocks of `block_size` tokens and never cover a prompt's last token. With
    `speculative_method` suffix, a prompt that was answered in this server's life is drafted perfectly.
    """

    model: str = "fake-model"
    host: str = "127.0.0.1"
    port: int = 0
    timing: Timing = field(default_factory=Timing)
    noise: PaceNoise = field(default_factory=PaceNoise)
    faults: FaultScript = field(default_factory=FaultScript)
    natural_length: tuple[int, int] = (16, 64)
    num_speculative_tokens: int = 0
    speculative_method: str = "ngram"
    seed: int = 0
    api_key: str | None = field(default=None, repr=False)
    version: str = "0.32.0"
    max_model_len: int = 8192
    block_size: int = 16
    kv_cache_tokens: int = 93184
    prefix_reset_succeeds: bool = True

    def __post_init__(self) -> None:
        shortest, longest = self.natural_length
        if not 1 <= shortest <= longest:
            raise ConfigError(
                f"natural_length is {self.natural_length}; it must be (shortest, longest) with 1 <= shortest"
            )
        for name in ("max_model_len", "block_size", "kv_cache_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port is {self.port}; it must be 0 (any free port) to 65535")
        most = max(self.timing.script)
        if self.num_speculative_tokens < 0 or 0 < self.num_speculative_tokens < most - 1:
            raise ConfigError(
                f"num_speculative_tokens is {self.num_speculative_tokens}, but a chunk of {most} tokens needs"
                f" a draft of at least {most - 1}",
                hint="raise num_speculative_tokens, or leave it at 0 to have it follow tokens_per_chunk",
            )

    @property
    def draft_tokens(self) -> int:
        """Tokens drafted in a drafted step (k); 0 means that this server does not speculate."""
        return self.num_speculative_tokens or max(self.timing.script) - 1

    @property
    def cold_step(self) -> int:
        """Tokens per step of a suffix drafter that has not seen the answer."""
        return min(self.timing.script)

"""How a synthetic workload's blocks are cut out of real prose, so that acceptance can be measured on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accounting.errors import ConfigError
from loadtest.workloads.prompt import Prompt, Workload
from loadtest.workloads.token_blocks import WARM_UP_PART, TokenBlocks

_BEGINNING = 8  # tokens after which a block goes on elsewhere, where keys outnumber places


def with_prose(workload: Workload, texts: Sequence[Sequence[int]], *, origin: str) -> Workload:
    """The same prompts, as long and sharing the same beginnings, with their blocks cut out of `texts`.

    Args:
        workload: a trace or a synthetic workload of token ids.
        texts: prose as token lists of the served model's tokenizer (its server's /tokenize makes them).
        origin: what the texts are, for the workload's source.

    Raises:
        ConfigError: if the workload is none of blocks, or the texts are too short for its longest block.
    """
    blocks = [prompt.token_ids for prompt in workload.prompts]
    made = [tokens for tokens in blocks if isinstance(tokens, TokenBlocks)]
    if len(made) < len(blocks):
        raise ConfigError(
            f"{workload.name}: {len(blocks) - len(made)} of its prompts are no blocks of token ids, so prose "
            "cannot take their place.",
            hint="Use a trace or a synthetic workload, without text=words.",
        )
    longest = max((length for tokens in made for length in tokens.lengths), default=1)
    source = ProseTokens.of(texts, longest_block=longest)
    return replace(
        workload,
        prompts=tuple(_moved(prompt, source) for prompt in workload.prompts),
        description=f"{workload.description}; blocks cut out of {origin}",
        source=f"{workload.source}; blocks from {origin}",
        synthetic="",
    )


def _moved(prompt: Prompt, source: ProseTokens) -> Prompt:
    tokens = prompt.token_ids
    return (
        replace(prompt, token_ids=replace(tokens, source=source))
        if isinstance(tokens, TokenBlocks)
        else prompt
    )


@dataclass(frozen=True, slots=True, eq=False)
class ProseTokens:
    """Blocks cut out of given texts, so that a model finds them as easy to go on with as prose.

    `texts` are token lists of the served model's own tokenizer, joined in their order. A block is a stretch
    of them; different keys begin at different places as long as there are fewer keys than tokens, and beyond
    that go on elsewhere after their first eight tokens. Sharing beyond the keys' arises only where the texts
    repeat themselves.
    """

    warm_up: NDArray[np.int64]
    measured: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]], *, longest_block: int) -> ProseTokens:
        """The source over these texts; the first eighth of them serves the warm-up.

        Raises:
            ConfigError: if either part is shorter than the longest block.
        """
        joined = np.concatenate(
            [np.asarray(text, dtype=np.int64) for text in texts] or [np.empty(0, np.int64)]
        )
        border = len(joined) // WARM_UP_PART
        if border < longest_block:
            raise ConfigError(
                f"The texts have {len(joined)} tokens. Blocks of up to {longest_block} tokens need "
                f"{WARM_UP_PART * longest_block}, an eighth of them for the warm-up.",
                hint="Give more text, or a smaller block or scale.",
            )
        return cls(joined[:border], joined[border:])

    def ids(self, keys: Sequence[int], lengths: Sequence[int]) -> NDArray[np.int64]:
        """See `TokenSource`."""
        pieces = [self._block(key, length) for key, length in zip(keys, lengths, strict=True)]
        return np.concatenate(pieces) if pieces else np.empty(0, np.int64)

    def _block(self, key: int, length: int) -> NDArray[np.int64]:
        pool, number = (self.warm_up, -1 - key) if key < 0 else (self.measured, key)
        size, step = len(pool), _stride(len(pool))
        lap, place = divmod(number, size)
        offsets = np.arange(length) + place * step
        offsets[_BEGINNING:] += lap * step
        block: NDArray[np.int64] = pool[offsets % size]
        return block


def _stride(size: int) -> int:
    """A step that visits every place of a ring once and puts neighbours far apart (the golden section)."""
    step = max(1, round(size * 0.6180339887))
    while math.gcd(step, size) != 1:
        step += 1
    return step

"""Which prompts `synthetic:` makes: declared lengths, and beginnings that declared groups of prompts share.

`synthetic:input=512,output=128,shared_prefix=256,groups=8` makes prompts of 512 tokens; each belongs to one
of 8 groups by a seeded draw, and the prompts of a group have their first 256 tokens in common and no more.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from accounting.errors import ConfigError
from loadtest.workloads.filler_words import text_of
from loadtest.workloads.length_draws import LengthDraw, read_length
from loadtest.workloads.name_options import checked_options
from loadtest.workloads.prompt import Message, Prompt, Split, Workload
from loadtest.workloads.token_blocks import DEFAULT_VOCABULARY, DrawnTokens, TokenBlocks
from loadtest.workloads.trace_prompts import DRAWN_IDS, DRAWN_WORDS

NAME = "synthetic"
_FIRST_GROUP_KEY = 1 << 40  # above the keys of the parts that no prompts share
_WARM_UP_SHARE = 4  # one warm-up prompt for so many measured ones
_SHORT = 8  # tokens of its own, up to which another prompt may have drawn the same


class SyntheticOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `synthetic:` takes; lengths in tokens."""

    input: str = ""  # must be given, as must the next
    output: str = ""
    shared_prefix: Annotated[int, msgspec.Meta(ge=0)] = 0
    groups: Annotated[int, msgspec.Meta(ge=1)] = 1
    prompts: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)] = 2000  # to be measured
    vocab: Annotated[int, msgspec.Meta(ge=1)] = DEFAULT_VOCABULARY
    text: Literal["words"] | None = None


def generate(pairs: Mapping[str, str], *, origin: str, seed: int) -> Workload:
    """The workload that the options describe; the same options and seed give the same prompts.

    Raises:
        ConfigError: naming the option that is missing or cannot be used.
    """
    for key in ("input", "output"):
        if key not in pairs:
            raise ConfigError(
                f"{origin}: {key}= is missing.", hint="Write it as synthetic:input=512,output=128."
            )
    options = checked_options(pairs, SyntheticOptions, origin=origin)
    if "groups" in pairs and not options.shared_prefix:
        raise ConfigError(f"{origin}: groups have a beginning in common.", hint="Give shared_prefix too.")
    if options.input.isdigit() and options.shared_prefix >= int(options.input) > 0:
        raise ConfigError(
            f"{origin}: shared_prefix={options.shared_prefix} leaves nothing of input={options.input} that two "
            "prompts of a group do not share.",
            hint="Make the input longer than the shared prefix.",
        )
    prompts = _Maker(options, origin, seed).prompts()
    made = sum(prompt.split is Split.MEASURED for prompt in prompts)
    description = f"{made} prompts of drawn lengths, input={options.input}, output={options.output}"
    if options.shared_prefix:
        description += (
            f", the first {options.shared_prefix} tokens in common within each of {options.groups} groups"
        )
    if made < options.prompts:
        description += f"; {options.prompts - made} equal to another one dropped"
    synthetic = DRAWN_IDS if options.text is None else DRAWN_WORDS
    return Workload(NAME, description, f"generated, {origin}, seed {seed}", prompts, synthetic)


class _Maker:
    def __init__(self, options: SyntheticOptions, origin: str, seed: int) -> None:
        self._options = options
        self._input: LengthDraw = read_length(options.input, origin=f"{origin}: input={options.input}")
        self._output: LengthDraw = read_length(options.output, origin=f"{origin}: output={options.output}")
        self._seed = seed
        self._tokens = DrawnTokens.seeded(options.vocab, name=NAME, seed=seed)
        self._seen: set[str | tuple[int, ...]] = set()

    def prompts(self) -> tuple[Prompt, ...]:
        measured = self._split(Split.MEASURED, self._options.prompts)
        warm_up = self._split(Split.WARM_UP, max(64, self._options.prompts // _WARM_UP_SHARE))
        return (*measured, *warm_up)

    def _split(self, split: Split, count: int) -> list[Prompt]:
        rng = random.Random(f"kilotoken/{NAME}/{split}/{self._seed}")
        made = [self._prompt(split, number, rng) for number in range(count)]
        return [prompt for prompt in made if prompt is not None]

    def _prompt(self, split: Split, number: int, rng: random.Random) -> Prompt | None:
        options = self._options
        group = rng.randrange(options.groups)
        length = max(self._input(rng), options.shared_prefix + 1)
        output_tokens = self._output(rng)
        shared = options.shared_prefix
        keys: tuple[int, ...] = (_FIRST_GROUP_KEY + group, number) if shared else (number,)
        lengths: tuple[int, ...] = (shared, length - shared) if shared else (length,)
        if split is Split.WARM_UP:
            keys = tuple(-1 - key for key in keys)
        words = options.text is not None
        text = text_of(self._tokens.seed, keys, lengths) if words else ""
        blocks = TokenBlocks(self._tokens, keys, lengths)
        if lengths[-1] <= _SHORT and self._seen_before(text or tuple(blocks)):
            return None
        warm_up = "_warm_up" if split is Split.WARM_UP else ""
        return Prompt(
            prompt_id=f"{NAME}-{'warm-up-' if warm_up else ''}{number:06d}",
            workload=NAME,
            template=f"group_{group}{warm_up}",
            split=split,
            messages=(Message("user", text),) if words else (),
            token_ids=None if words else blocks,
            output_tokens=output_tokens,
        )

    def _seen_before(self, content: str | tuple[int, ...]) -> bool:
        """Whether an equal short prompt was made already; long ones with other keys never meet."""
        if content in self._seen:
            return True
        self._seen.add(content)
        return False

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.workloads import Message, Prompt, Split
from loadtest.workloads.prefix_hits import HitShare, implied_hit_share


def prompt(tokens: list[int], output: int | None = 1) -> Prompt:
    return Prompt("p", "w", "t", Split.MEASURED, (), token_ids=tuple(tokens), output_tokens=output)


def hits(prompts: list[Prompt], **options: int | bool | None) -> list[int]:
    """Hit tokens of each prompt in turn."""
    totals = [implied_hit_share(prompts[:n], **options).hit_tokens for n in range(len(prompts) + 1)]  # type: ignore[arg-type]
    return [after - before for before, after in itertools.pairwise(totals)]


A, B, C, D = ([letter] * 4 for letter in range(4))


def test_only_whole_blocks_from_the_beginning_hit() -> None:
    """A block is known by everything before it: the same tokens behind others are another block."""
    prompts = [prompt(A + B + C + [9]), prompt(A + B + D + [9]), prompt(B + C + [9]), prompt(A + B[:3] + [9])]
    assert hits(prompts, block_tokens=4) == [0, 8, 0, 4]


def test_the_block_of_the_last_token_is_computed_again() -> None:
    """A prompt of whole blocks that is known completely still misses its last one, as in vLLM."""
    prompts = [prompt(A + B), prompt(A + B), prompt(A + B + [9])]
    assert hits(prompts, block_tokens=4) == [0, 4, 8]


def test_a_speculating_head_computes_the_last_hit_again() -> None:
    prompts = [prompt(A + B + C + [9])] * 2 + [prompt([*A, 9])]
    assert hits(prompts, block_tokens=4, drops_last_hit=True) == [0, 8, 0]


def test_a_full_cache_gives_up_what_was_freed_first_and_ends_before_beginnings() -> None:
    one, two, three = (prompt(block + block + [9]) for block in (A, B, C))
    # Nine tokens take three blocks, the third of them a part. Six blocks hold two prompts.
    assert hits([one, two, one, two], block_tokens=4, capacity_blocks=6) == [0, 0, 8, 8]
    # Four whole blocks and a part: the third prompt takes the part's block, then the end of the first prompt.
    assert hits([one, two, three, one], block_tokens=4, capacity_blocks=6) == [0, 0, 0, 4]


def test_answers_take_room() -> None:
    """The longer an answer, the more blocks it drives out; its last token is never computed."""
    one = prompt(A + B + [9], output=None)
    for output, expected in ((8, 8), (9, 4)):
        other = prompt([*C, 8], output=output)
        assert hits([one, other, one], block_tokens=4, capacity_blocks=5)[2] == expected


def test_what_cannot_be_computed_is_refused() -> None:
    text = Prompt("p7", "w", "t", Split.MEASURED, (Message("user", "hello"),))
    with pytest.raises(ValueError, match="p7 has no token ids"):
        implied_hit_share([text], block_tokens=4)
    with pytest.raises(ValueError, match="needs 3 blocks; the cache has 2"):
        implied_hit_share([prompt(A + B + [9])], block_tokens=4, capacity_blocks=2)


def test_the_share_is_of_tokens_and_unknown_without_any() -> None:
    assert implied_hit_share([prompt([*A, 9])] * 2, block_tokens=4) == HitShare(2, 10, 4, 4, None)
    assert HitShare(2, 10, 4, 4, None).share == 0.4
    assert implied_hit_share([], block_tokens=4).share is None


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_the_endless_cache_agrees_with_comparing_every_beginning(seed: int, block: int) -> None:
    """Against the definition: the longest whole-block beginning that any earlier prompt has."""
    rng = random.Random(seed)
    lists = [[rng.randrange(2) for _ in range(rng.randrange(1, 14))] for _ in range(12)]
    expected = 0
    for index, tokens in enumerate(lists):
        most = (len(tokens) - 1) // block
        known = [
            n
            for n in range(most + 1)
            if n == 0
            or any(len(old) >= n * block and old[: n * block] == tokens[: n * block] for old in lists[:index])
        ]
        expected += max(known) * block
    found = implied_hit_share([prompt(tokens) for tokens in lists], block_tokens=block)
    assert (found.hit_tokens, found.queried_tokens) == (expected, sum(map(len, lists)))


@given(st.integers(0, 10**6))
def test_a_cache_that_is_large_enough_is_endless_and_a_smaller_one_hits_no_more(seed: int) -> None:
    rng = random.Random(seed)
    prompts = [
        prompt([rng.randrange(2) for _ in range(rng.randrange(1, 14))], output=rng.randrange(1, 6))
        for _ in range(12)
    ]
    endless = implied_hit_share(prompts, block_tokens=2).hit_tokens
    assert implied_hit_share(prompts, block_tokens=2, capacity_blocks=12 * 10).hit_tokens == endless
    assert implied_hit_share(prompts, block_tokens=2, capacity_blocks=10).hit_tokens <= endless

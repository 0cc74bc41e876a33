"""Which tokens a prompt has and which answer it gets: the same for the same prompt and seed, everywhere.

One token is one word. Some words take several bytes per character, so that a client which cuts UTF-8 at a
read boundary is found out.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import zlib
from array import array
from collections.abc import Iterator, Sequence

VOCABULARY_SIZE = 49152

WORDS = (
    "the", "lighthouse", "keeper", "walked", "down", "stairs", "and", "opened", "door", "to", "a", "quiet",
    "harbour", "where", "boats", "waited", "for", "morning", "wind", "over", "grey", "water", "under",
    "seven", "lamps", "nobody", "had", "counted", "again", "café", "Straße", "naïve", "smörgåsbord", "маяк",
    "лодка", "φάρος", "灯台", "港口", "항구", "מגדלור", "⚓", "🚢", "👩‍🚀", "fin.",
)  # fmt: skip


def token_id(word: str) -> int:
    """The id that stands for a word, in prompts and answers alike."""
    return zlib.crc32(word.encode()) % VOCABULARY_SIZE


def chat_prompt(messages: Sequence[tuple[str, str]]) -> tuple[int, ...]:
    """Token ids of a chat given as (role, text): one mark per message, its words, and the answer's mark."""
    words: list[str] = []
    for role, text in messages:
        words.append(f"<|{role}|>")
        words.extend(text.split())
    words.append("<|assistant|>")
    return tuple(map(token_id, words))


def text_prompt(text: str) -> tuple[int, ...]:
    """Token ids of a plain prompt; an empty one still has the token that begins every sequence."""
    return tuple(map(token_id, text.split())) or (token_id("<|begin|>"),)


def prompt_digest(prompt: Sequence[int]) -> str:
    """A short name of a prompt's exact tokens, for the prefix cache and for drawing the answer."""
    return hashlib.sha256(array("q", prompt).tobytes()).hexdigest()


def prompt_logprobs(prompt: Sequence[int], model: str, seed: int) -> list[dict[str, object] | None]:
    """Each prompt token's own log-probability in vLLM's form, the same for the same token, model and seed."""
    entries: list[dict[str, object] | None] = [None]
    for token in prompt[1:]:
        nats = 0.5 + zlib.crc32(f"logprob {seed} {model} {token}".encode()) % 1000 / 500
        entries.append({str(token): {"logprob": -nats, "rank": 1, "decoded_token": f"<{token}>"}})
    return entries


def natural_length(digest: str, seed: int, lengths: tuple[int, int]) -> int:
    """Tokens after which this prompt's answer ends by itself, within `lengths` (both ends included)."""
    return random.Random(f"length {seed} {digest}").randint(*lengths)


def answer_words(digest: str, seed: int, wrong_one_in: int = 0) -> Iterator[str]:
    """The answer's words without end, each with the space that parts it from the one before.

    With `wrong_one_in` n, one word in n is another one, drawn for this prompt; what follows it is another text, too.
    """
    if wrong_one_in:
        return _with_wrong_words(digest, seed, wrong_one_in)
    return _right_words(digest, seed)


def _with_wrong_words(digest: str, seed: int, one_in: int) -> Iterator[str]:
    rng = random.Random(f"wrong {seed} {digest}")
    words = _right_words(digest, seed)
    for number in itertools.count():
        word = next(words)
        if rng.random() < 1 / one_in:
            right = word.strip()
            wrong = rng.choice([other for other in WORDS if other != right])
            word = word.replace(right, wrong)
            words = _right_words(f"{digest} after {number}", seed)
            next(words)  # the only one without a space before it
        yield word


def _right_words(digest: str, seed: int) -> Iterator[str]:
    rng = random.Random(f"words {seed} {digest}")
    yield rng.choice(WORDS)
    while True:
        yield f" {rng.choice(WORDS)}"

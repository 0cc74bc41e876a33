"""The log-probabilities of an answer's tokens, in vLLM's two shapes: the answer's own token is always the likeliest.

A token's value and its rivals follow from seed, prompt and position alone, so two servers of one seed say the same.
With `return_tokens_as_token_ids` vLLM writes tokens as `token_id:<id>`; that is kept, because ids are what compares.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from serving.fake_server.answers import WORDS, prompt_digest, token_id
from serving.fake_server.request_body import GenerationRequest

Json = dict[str, object]
_WORD_OF = {token_id(word): word for word in WORDS}


def answer_logprobs(
    request: GenerationRequest, seed: int, token_ids: Sequence[int], before: int
) -> Json | None:
    """What `logprobs` holds for these tokens, of which `before` came before; None where it was not asked for."""
    if request.logprobs is None:
        return None
    digest = prompt_digest(request.prompt)
    listed = [
        _likeliest(token, f"logprobs {seed} {digest} {before + index}", request.logprobs)
        for index, token in enumerate(token_ids)
    ]
    write = _chat_entry if request.chat else _text_entry
    entries = [write(request, likeliest) for likeliest in listed]
    if request.chat:
        return {"content": entries}
    return {
        "text_offset": [0] * len(entries),
        "token_logprobs": [likeliest[0][1] for likeliest in listed],
        "tokens": [_name(request, token) for token in token_ids],
        "top_logprobs": entries,
    }


def _likeliest(token: int, rng_name: str, count: int) -> list[tuple[int, float]]:
    """The token and its `count` - 1 rivals with their log-probabilities, in falling order."""
    rng = random.Random(rng_name)
    rivals = rng.sample([other for other in _WORD_OF if other != token], max(0, count - 1))
    nats = rng.uniform(0.01, 0.5)
    found = [(token, -nats)]
    for rival in rivals:
        nats += rng.expovariate(1 / 3)
        found.append((rival, -nats))
    return found


def _chat_entry(request: GenerationRequest, likeliest: Sequence[tuple[int, float]]) -> Json:
    named = [_named(request, token, logprob) for token, logprob in likeliest]
    return named[0] | {"top_logprobs": named if request.logprobs else []}


def _named(request: GenerationRequest, token: int, logprob: float) -> Json:
    name = _name(request, token)
    return {"token": name, "logprob": logprob, "bytes": list(name.encode())}


def _text_entry(request: GenerationRequest, likeliest: Sequence[tuple[int, float]]) -> Json:
    return {_name(request, token): logprob for token, logprob in likeliest}


def _name(request: GenerationRequest, token: int) -> str:
    return f"token_id:{token}" if request.tokens_as_ids else _WORD_OF.get(token, f"<{token}>")

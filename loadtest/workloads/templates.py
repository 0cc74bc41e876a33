"""How many prompts each template gives, and in which order they are sent.

Every template draws from its own generator, seeded by workload, template and seed: adding a template leaves
the prompts of the others as they were. Within a split the prompts come in rounds: each round holds every
template once, in an order drawn anew. Any stretch of a run so sees all templates, and parallel streams
that take turns never lock on to one of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from loadtest.workloads.prompt import Message, Prompt, Split, Workload

# A template that cannot give a new text in so many draws has too few words: a fault of its author.
_MAX_DRAWS_PER_PROMPT = 200


@dataclass(frozen=True, slots=True)
class Template:
    """One way of asking: a name, the split that owns it, and the text it gives for a random generator."""

    name: str
    split: Split
    render: Callable[[random.Random], str]


def pattern_templates(
    patterns: Mapping[Split, Mapping[str, str]], fill: Callable[[str, random.Random], str]
) -> list[Template]:
    """One template for each named pattern; `fill` makes a text of a pattern with a random generator."""
    return [
        Template(name, split, partial(fill, pattern))
        for split, named in patterns.items()
        for name, pattern in named.items()
    ]


def build_workload(
    name: str,
    description: str,
    templates: Sequence[Template],
    *,
    prompts_per_template: Mapping[Split, int],
    seed: int,
) -> Workload:
    """All prompts of a generated workload, distinct by content; the same seed gives the same bytes."""
    seen: set[str] = set()
    prompts: list[Prompt] = []
    for split in Split:
        columns = [
            _prompts_of(name, template, prompts_per_template[split], seed=seed, seen=seen)
            for template in templates
            if template.split is split
        ]
        order = random.Random(f"kilotoken/{name}/order/{split}/{seed}")
        for one_round in zip(*columns, strict=True):
            prompts.extend(order.sample(one_round, k=len(one_round)))
    return Workload(name, description, f"generated, seed {seed}", tuple(prompts))


def _prompts_of(workload: str, template: Template, count: int, *, seed: int, seen: set[str]) -> list[Prompt]:
    rng = random.Random(f"kilotoken/{workload}/{template.name}/{seed}")
    prompts: list[Prompt] = []
    for index in range(count):
        text = _new_text(template, rng, seen)
        prompts.append(
            Prompt(
                prompt_id=f"{workload}-{template.name}-{index:05d}",
                workload=workload,
                template=template.name,
                split=template.split,
                messages=(Message("user", text),),
            )
        )
    return prompts


def _new_text(template: Template, rng: random.Random, seen: set[str]) -> str:
    for _ in range(_MAX_DRAWS_PER_PROMPT):
        text = template.render(rng)
        if text not in seen:
            seen.add(text)
            return text
    raise ValueError(f"the template {template.name!r} ran out of new texts: give it more words")

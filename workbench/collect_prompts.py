"""Which prompts are asked, and on which side each stands: a draft learns from `train` and is judged on `heldout`.

All prompts of a template stand on one side. A workload that marks prompts for training keeps its marks, and the
prompts that it measures with are not asked: a draft that learned from them would be flattered later. A file without
such marks is divided by a hash of its templates, and is spent: nothing may be measured with it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from accounting.errors import ConfigError
from loadtest.workloads import Prompt, Split, Workload
from loadtest.workloads.hash_split import chosen_by_hash


class Side(StrEnum):
    """The two parts of a collection; each is one file."""

    TRAIN = "train"
    HELD_OUT = "heldout"


@dataclass(frozen=True, slots=True)
class SidedPrompt:
    """A prompt and its part; `asked_as`: the workload as it was named, which of a mix is not the prompt's own."""

    prompt: Prompt
    side: Side
    asked_as: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What will be asked, in order; how many repeats were left out; how each workload was divided, in words."""

    prompts: tuple[SidedPrompt, ...]
    repeated: int
    divisions: tuple[str, ...]


def choose(workloads: Sequence[Workload], *, count: int | None, heldout_share: float) -> Chosen:
    """Up to `count` prompts of each workload, in both parts in proportion; equal requests once.

    Raises:
        ConfigError: if a workload's texts are no real ones, it cannot be divided, or two call different prompts alike.
    """
    chosen: dict[str, SidedPrompt] = {}
    asked: set[object] = set()
    repeated, divisions = 0, []
    for workload in workloads:
        sides, division = _divided(workload, heldout_share)
        divisions.append(division)
        for sided in _in_proportion(sides)[:count]:
            prompt = sided.prompt
            request = (prompt.messages, tuple(prompt.token_ids or ()))
            if request in asked:
                repeated += 1
                continue
            if prompt.prompt_id in chosen:
                raise ConfigError(
                    f"two workloads have a prompt {prompt.prompt_id!r}, and the prompts differ.",
                    hint="Give the files different names, or collect into two directories.",
                )
            asked.add(request)
            chosen[prompt.prompt_id] = replace(sided, asked_as=workload.name)
    return Chosen(tuple(chosen.values()), repeated, tuple(divisions))


def _divided(workload: Workload, heldout_share: float) -> tuple[dict[Side, list[Prompt]], str]:
    """The prompts of each part, and how they came there."""
    if workload.synthetic:
        raise ConfigError(
            f"workload {workload.name}: answers to it say nothing, because {workload.synthetic}.",
            hint="Collect on prompts with a meaning: a built-in workload, a .jsonl file, a published set.",
        )
    marked = {Side.TRAIN: list(workload.of(Split.TRAIN)), Side.HELD_OUT: list(workload.of(Split.HELD_OUT))}
    if all(marked.values()):
        return marked, "as the workload marks its templates; what it measures with is not asked"
    if marked[Side.TRAIN]:
        prompts, spent = marked[Side.TRAIN], "; it marks none as held out"
    else:
        prompts, spent = (
            list(workload.prompts),
            "; a draft trained on them must not be measured with this file",
        )
    return _by_hash(workload, prompts, heldout_share), f"{heldout_share:.0%} of templates by hash{spent}"


def _by_hash(workload: Workload, prompts: Sequence[Prompt], heldout_share: float) -> dict[Side, list[Prompt]]:
    templates = {_template(prompt) for prompt in prompts}
    if heldout_share and len(templates) < 2:
        raise ConfigError(
            f"workload {workload.name}: all prompts are of one template, so that a split by template leaves one part "
            "empty.",
            hint="Take --heldout-share 0 (all for training), or name the templates in the file.",
        )
    # A salt: else what the same hash makes warm-up prompts would all be held out.
    held = chosen_by_hash(templates, heldout_share, salt="heldout/") if heldout_share else set()
    return {
        Side.TRAIN: [prompt for prompt in prompts if _template(prompt) not in held],
        Side.HELD_OUT: [prompt for prompt in prompts if _template(prompt) in held],
    }


def _template(prompt: Prompt) -> str:
    return f"{prompt.workload}/{prompt.template}"


def _in_proportion(sides: dict[Side, list[Prompt]]) -> list[SidedPrompt]:
    """Both parts dealt evenly: any beginning has them in nearly their shares, and a longer one has the same beginning."""
    return [sided for _, sided in sorted(_places(sides), key=lambda place: place[0])]


def _places(sides: dict[Side, list[Prompt]]) -> Iterator[tuple[float, SidedPrompt]]:
    for side, prompts in sides.items():
        for index, prompt in enumerate(prompts):
            yield (index + 0.5) / len(prompts), SidedPrompt(prompt, side)

"""At which temperature each training answer is sampled: a declared mix, dealt out by the prompt's own hash.

Held-out answers stay greedy: on those alone simulated acceptance is exact. A prompt that states its own temperature keeps it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from accounting.errors import ConfigError
from loadtest.workloads.prompt import Prompt, Sampling
from workbench.collect_prompts import Chosen, Side, SidedPrompt

HOTTEST = 2.0


@dataclass(frozen=True, slots=True)
class TemperatureMix:
    """Temperatures and their shares, which sum to one."""

    shares: tuple[tuple[float, float], ...] = ((0.0, 1.0),)

    @property
    def is_greedy(self) -> bool:
        """Whether nothing is sampled."""
        return all(temperature == 0 for temperature, _ in self.shares)

    def __str__(self) -> str:
        """As it is written on a command line."""
        return ",".join(f"{temperature:g}:{share:g}" for temperature, share in self.shares)

    def of(self, prompt_id: str) -> float:
        """The temperature of a prompt: the same whatever else is asked."""
        drawn = int(hashlib.sha256(f"temperature/{prompt_id}".encode()).hexdigest()[:16], 16) / 2**64
        reached = 0.0
        for temperature, share in self.shares:
            reached += share
            if drawn < reached:
                return temperature
        return self.shares[-1][0]


GREEDY = TemperatureMix()


def parse_mix(text: str) -> TemperatureMix:
    """`0:0.7,0.8:0.3`: seven in ten answers greedy, three sampled at temperature 0.8.

    Raises:
        ConfigError: if it is not written so, a temperature lies outside 0..2, one comes twice, or shares do not sum to one.
    """
    parts = [re.fullmatch(r"\s*(\d*\.?\d+)\s*:\s*(\d*\.?\d+)\s*", part) for part in text.split(",")]
    shares = [(float(part[1]), float(part[2])) for part in parts if part]
    wrong = len(shares) < len(parts)
    wrong = wrong or any(temperature > HOTTEST or share <= 0 for temperature, share in shares)
    wrong = wrong or len({temperature for temperature, _ in shares}) < len(shares)
    if wrong or abs(sum(share for _, share in shares) - 1.0) > 1e-6:
        raise ConfigError(
            f"--temperature-mix {text!r} is no mix: TEMPERATURE:SHARE, separated by commas, temperatures from 0 to "
            f"{HOTTEST:g}, each once, shares that sum to 1.",
            hint="For example 0:0.7,0.8:0.3: seven in ten answers greedy, three in ten sampled at 0.8.",
        )
    return TemperatureMix(tuple(shares))


def with_temperatures(chosen: Chosen, mix: TemperatureMix, *, seed: int) -> Chosen:
    """The same prompts, those for training asked at the mix's temperatures, each with a seed of its own."""
    if mix.is_greedy:
        return chosen
    return replace(chosen, prompts=tuple(_sampled(sided, mix, seed) for sided in chosen.prompts))


def _sampled(sided: SidedPrompt, mix: TemperatureMix, seed: int) -> SidedPrompt:
    prompt: Prompt = sided.prompt
    own = prompt.sampling or Sampling()
    temperature = mix.of(prompt.prompt_id)
    if sided.side is not Side.TRAIN or own.temperature is not None or temperature == 0:
        return sided
    drawn = int(hashlib.sha256(f"{seed}/{prompt.prompt_id}".encode()).hexdigest()[:7], 16)
    sampling = msgspec.structs.replace(
        own, temperature=temperature, seed=own.seed if own.seed is not None else drawn
    )
    return replace(sided, prompt=replace(prompt, sampling=sampling))


def by_turns(prompts: Sequence[SidedPrompt]) -> list[SidedPrompt]:
    """In turns over the workloads: whenever asking ends, each has had its share."""
    place: dict[str, int] = {}
    ranked = []
    for sided in prompts:
        rank = place[sided.asked_as] = place.get(sided.asked_as, -1) + 1
        ranked.append((rank, sided))
    return [sided for _, sided in sorted(ranked, key=lambda item: item[0])]

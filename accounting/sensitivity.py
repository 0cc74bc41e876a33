"""Which input moves an answer most: each is made larger and smaller by the same share, the others stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: By how much each input is moved.
MOVED_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Moved:
    """The answer with one input lower and higher, divided by the answer as it is; None where there is no answer."""

    name: str
    lower: float | None
    higher: float | None

    @property
    def span(self) -> float:
        """How far the answer moves, whichever way is further."""
        return max(abs(1.0 - ratio) for ratio in (self.lower or 1.0, self.higher or 1.0))


def sensitivity(
    answer: Callable[[Mapping[str, float]], float], inputs: Mapping[str, float], *, share: float = MOVED_SHARE
) -> list[Moved]:
    """Move each input by `share`, the strongest first. An input that would leave its range has no answer there.

    Raises:
        ValueError: if the answer as it is cannot be computed, or the share is outside (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"inputs are moved by a share between 0 and 1, not {share}")
    as_is = answer(inputs)

    def moved(name: str, factor: float) -> float | None:
        try:
            return answer({**inputs, name: inputs[name] * factor}) / as_is
        except ValueError:
            return None

    found = [Moved(name, moved(name, 1 - share), moved(name, 1 + share)) for name in inputs]
    return sorted(found, key=lambda one: -one.span)

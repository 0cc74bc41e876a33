"""The `losslessness:` section of an experiment: how much a run asks to see whether speculation changed the answers."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from accounting.losslessness import LEAST_PROMPTS, LEAST_TOKENS
from serving.section import Section

_SWITCH = {"on": {}, True: {}, "off": {"asked": False}, False: {"asked": False}}


class LosslessnessSection(Section):
    """Greedy texts of each speculating arm against those of the baseline; `losslessness: off` asks for none."""

    asked: bool = True
    """false is what `losslessness: off` means: a speculative win then stands without a word on its answers."""
    prompts: Annotated[int, Field(ge=LEAST_PROMPTS)] = LEAST_PROMPTS
    """Texts, taken in turn from the experiment's workloads; fewer could miss one wrong token in 500."""
    max_tokens: Annotated[int, Field(ge=8, le=4096)] = 32
    """Tokens of each text, no more and no fewer."""
    float32: bool = False
    """Ask in float32 as well, where identity is expected, in server lives of its own after the last block. Off by default
    because each of these lives loads a model again: on two CPU cores two arms take about four minutes more, while
    texts in the dtype that is served come from servers that run anyway."""

    @model_validator(mode="before")
    @classmethod
    def _switch(cls, data: Any) -> Any:
        """Accept `losslessness: off` and `on` (or false and true)."""
        if isinstance(data, (str, bool)):
            if data not in _SWITCH:
                raise ValueError("write `losslessness: off`, or its keys: prompts, max_tokens, float32")
            return _SWITCH[data]
        return data

    @model_validator(mode="after")
    def _can_tell(self) -> Self:
        if self.asked and self.prompts * self.max_tokens < LEAST_TOKENS:
            raise ValueError(
                f"{self.prompts} texts of {self.max_tokens} tokens are {self.prompts * self.max_tokens} tokens, and fewer "
                f"than {LEAST_TOKENS} cannot tell one wrong token in 500: raise max_tokens or prompts"
            )
        return self

"""Every rule, asked in turn; a configuration with a refusal is not started. And what is only to be known."""

from __future__ import annotations

from accounting.errors import ConfigError
from serving.config import ServerConfig
from serving.legality.draft_rules import DRAFT_RULES
from serving.legality.head_rules import HEAD_RULES
from serving.legality.method_rules import METHOD_RULES
from serving.legality.policy_rules import POLICY_RULES
from serving.legality.refusal import Circumstances, Refusal, Rule
from serving.legality.tensor_rules import TENSOR_RULES
from serving.number_type import type_caution
from serving.speculation import ModelDraft, Speculating, SuffixSpeculation

RULES: tuple[Rule, ...] = (*METHOD_RULES, *POLICY_RULES, *DRAFT_RULES, *HEAD_RULES, *TENSOR_RULES)


def refusals(config: ServerConfig, circumstances: Circumstances) -> list[Refusal]:
    """Every reason not to start this configuration under these circumstances."""
    return [refusal for rule in RULES for refusal in rule(config, circumstances)]


def cautions(
    config: ServerConfig, device: str, *, slow: bool = False, auto_dtype: str | None = None
) -> list[str]:
    """What runs and must be known: not a reason to refuse, said where the server is started and in the report.

    Args:
        config: of the server.
        device: "cpu" or "cuda".
        slow: whether the processor is slow in 16 bits.
        auto_dtype: what `model.dtype: auto` became; None where it was left to the engine.
    """
    numbers = type_caution(config, device=device, slow=slow, became=auto_dtype)
    found = [numbers] if numbers else []
    if device == "cpu" and isinstance(config.speculation, Speculating):
        found.append(
            "speculation on vLLM 0.32's CPU build is right at temperature 0 only: above it the sampler reads "
            "uninitialised memory for drafted positions and the text is corrupted. kilotoken measures at temperature 0"
        )
    if isinstance(config.speculation, ModelDraft) and config.speculation.max_model_len is not None:
        found.append(
            "beyond speculation.max_model_len the engine drafts token 0, which is counted: acceptance is diluted"
        )
    if (
        isinstance(config.speculation, SuffixSpeculation)
        and config.speculation.suffix_decoding_max_cached_requests
    ):
        found.append(
            "suffix speculation remembers answers through every cache reset: after its first cell a server life starts "
            "warm. Measure one cell per life, or set suffix_decoding_max_cached_requests: 0"
        )
    return found


def refuse_illegal(config: ServerConfig, circumstances: Circumstances, *, origin: str = "") -> None:
    """Raise if there is a reason not to start.

    Raises:
        ConfigError: with every reason and every way out.
    """
    found = refusals(config, circumstances)
    if found:
        place = f"{origin}: " if origin else ""
        raise ConfigError(
            place + " ".join(refusal.sentence for refusal in found), hint="Nothing was started."
        )

"""Every rule, asked in turn; a configuration with a refusal is not started."""

from __future__ import annotations

from accounting.errors import ConfigError
from serving.config import ServerConfig
from serving.legality.draft_rules import DRAFT_RULES
from serving.legality.head_rules import HEAD_RULES
from serving.legality.method_rules import METHOD_RULES
from serving.legality.policy_rules import POLICY_RULES
from serving.legality.refusal import Circumstances, Refusal, Rule

RULES: tuple[Rule, ...] = (*METHOD_RULES, *POLICY_RULES, *DRAFT_RULES, *HEAD_RULES)


def refusals(config: ServerConfig, circumstances: Circumstances) -> list[Refusal]:
    """Every reason not to start this configuration under these circumstances."""
    return [refusal for rule in RULES for refusal in rule(config, circumstances)]


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

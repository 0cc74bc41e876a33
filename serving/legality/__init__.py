"""Is this configuration one that the engine runs as declared? Answered before anything is started.

vLLM 0.32 refuses some combinations late (after minutes of loading), some with an assertion, and some not at
all: it drops or changes a setting and goes on, and the measurement is of something else. Each rule here says
what is wrong and the way out. `method_rules` need the config and the device only, `policy_rules` the same for
batching, KV cache and parallelism; `draft_rules`, `head_rules` and `tensor_rules` read the two checkpoints.
"""

from serving.legality.check import RULES, cautions, refusals, refuse_illegal
from serving.legality.refusal import Circumstances, Refusal

__all__ = ["RULES", "Circumstances", "Refusal", "cautions", "refusals", "refuse_illegal"]

"""How often the losslessness rule errs, on simulated honest and lossy servers: the table of docs/losslessness.md.

`python -m benchmarks.losslessness_rule` in the repository's root; three minutes on one core.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from accounting.losslessness import Losslessness, judge
from tests.accounting.greedy_passes import greedy_pass, true_logits

PROMPTS = 100
WRONG_SHARE = 1 / 500
CASES = [(noise_nats, tokens) for noise_nats in (0.0, 1e-5, 0.02, 0.05, 0.1) for tokens in (32, 64)]


def judged(seed: int, noise_nats: float, tokens: int, wrong_share: float) -> Losslessness:
    """One simulated baseline, asked twice, against one simulated candidate."""
    rng = np.random.default_rng(seed)
    truth = true_logits(rng, PROMPTS, tokens)
    baseline, again = (greedy_pass(rng, truth, noise_nats=noise_nats) for _ in range(2))
    return judge(baseline, again, greedy_pass(rng, truth, noise_nats=noise_nats, wrong_share=wrong_share))


def main() -> None:
    """Print one line per noise and length."""
    for noise_nats, tokens in CASES:
        servers = 150 if noise_nats else 60
        honest = [judged(1000 + n, noise_nats, tokens, 0.0) for n in range(servers)]
        lossy = [judged(5000 + n, noise_nats, tokens, WRONG_SHARE) for n in range(servers)]
        power = sum(found.candidate.power for found in honest) / servers
        words = [dict(Counter(str(found.word) for found in kind)) for kind in (honest, lossy)]
        print(f"noise {noise_nats:g} nats, {tokens} tokens, {servers} of each, power {power:.1%}: "
              f"honest {words[0]}, lossy {words[1]}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

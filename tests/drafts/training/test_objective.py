"""The losses are what their formulas say, and each is least where the draft is the target."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="comes with the engine")

from drafts.training.objective import ETA, Objective, loss_rows  # noqa: E402

P = torch.tensor([[0.5, 0.3, 0.2]])
Q = torch.tensor([[0.25, 0.25, 0.5]])
ALPHA = 0.25 + 0.25 + 0.2


def test_values_by_hand() -> None:
    found = {name: float(loss_rows(name, P, Q.log())) for name in Objective}
    kl = 0.5 * math.log(2) + 0.3 * math.log(1.2) + 0.2 * math.log(0.4)
    weight = math.exp(-ETA * ALPHA)
    assert found == {
        Objective.KL: pytest.approx(kl),
        Objective.TV: pytest.approx(1 - ALPHA),
        Objective.NLA: pytest.approx(-math.log(ALPHA)),
        Objective.LK_HYBRID: pytest.approx(weight * kl + (1 - weight) * (1 - ALPHA)),
        Objective.CE: pytest.approx(math.log(4)),
    }


@pytest.mark.parametrize("objective", [name for name in Objective if name is not Objective.CE])
def test_descending_finds_the_target(objective: Objective) -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.02)
    for _ in range(600):
        optimiser.zero_grad()
        loss_rows(objective, P, logits).sum().backward()
        optimiser.step()
    torch.testing.assert_close(logits.softmax(dim=-1), P, atol=0.02, rtol=0)


def test_what_the_draft_cannot_say_is_lost_to_acceptance_and_not_to_kl() -> None:
    covered = P * 0.6  # the target gives 0.4 to tokens that the draft has not
    assert float(loss_rows(Objective.KL, covered, P.log())) == pytest.approx(0.0, abs=1e-6)
    assert float(loss_rows(Objective.TV, covered, P.log())) == pytest.approx(0.4)

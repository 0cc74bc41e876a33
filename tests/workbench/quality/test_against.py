from typing import Any

import pytest

from accounting.errors import ConfigError
from workbench.quality.against import paired

Document = dict[str, Any]


def result(label: str, rows: list[tuple[bool, float | None, str]]) -> Document:
    return {
        "label": label,
        "fingerprint": label,
        "set_key": "s",
        "n": len(rows),
        "seed": 1,
        "rows": [
            {"item": f"i{k}", "right": right, "nats": nats, "tokens": 10, "token_digest": digest}
            for k, (right, nats, digest) in enumerate(rows)
        ],
    }


def test_score_and_likelihood_are_paired_by_item() -> None:
    first = result("f32", [(True, 20.0 + k, "d") for k in range(6)])
    second = result("bf16", [(k != 0, 20.5 + k, "d") for k in range(6)])
    found = paired(first, second)
    assert found["against"] == "f32"
    assert found["score"]["difference"] == pytest.approx(-1 / 6)
    assert (found["score"]["only_there"], found["score"]["only_here"]) == (1, 0)
    assert found["perplexity"]["nats_per_token"] == pytest.approx(0.05)
    assert found["perplexity"]["interval"][0] == pytest.approx(found["perplexity"]["ratio"])


def test_other_tokens_are_not_compared() -> None:
    first = result("a", [(True, 20.0, "d")] * 6)
    other = paired(first, result("b", [(True, 20.0, "e")] * 6))
    assert other["perplexity"]["ratio"] is None
    assert "different tokens" in other["perplexity"]["reason"]
    none = paired(first, result("b", [(True, None, "")] * 6))
    assert none["perplexity"]["ratio"] is None
    assert "no likelihood" in none["perplexity"]["reason"]
    some = paired(first, result("b", [(True, 21.0, "d")] * 5 + [(True, None, "")]))
    assert some["perplexity"]["items"] == 5
    assert "1 items" in some["perplexity"]["reason"]


@pytest.mark.parametrize("change", [{"set_key": "t"}, {"n": 7}, {"seed": 2}, {"rows": []}])
def test_results_of_other_items_are_refused(change: Document) -> None:
    first = result("a", [(True, 20.0, "d")] * 6)
    with pytest.raises(ConfigError, match="not of the same items"):
        paired(first, result("b", [(True, 20.0, "d")] * 6) | change)

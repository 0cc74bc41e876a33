from accounting.prefix_hits import judge_prefix_hits


def test_what_the_prompts_explain_is_no_finding_and_one_token_more_is() -> None:
    explained = judge_prefix_hits(
        hit_tokens=640.0, queried_tokens=3000.0, explained_tokens=640, prompt_tokens=3000
    )
    assert (explained.hit_tokens, explained.most_tokens, explained.reason) == (640, 640, "")
    warm = judge_prefix_hits(
        hit_tokens=656.0, queried_tokens=3000.0, explained_tokens=640, prompt_tokens=3000
    )
    assert "656 prompt tokens were hit" in warm.reason
    assert "explain 640 at most" in warm.reason


def test_a_request_that_asked_the_cache_again_may_find_its_own_blocks() -> None:
    """Preempted requests, where the server counts them: as many tokens as were queried beyond the prompts."""
    again = {"hit_tokens": 900.0, "queried_tokens": 3300.0, "explained_tokens": 640, "prompt_tokens": 3000}
    assert judge_prefix_hits(**again).most_tokens == 940
    assert not judge_prefix_hits(**again).reason
    assert judge_prefix_hits(**again | {"hit_tokens": 941.0}).reason


def test_prompts_that_never_reached_the_cache_take_nothing_from_the_bound() -> None:
    """Refused requests are not queried: fewer queries than prompts are no debt."""
    found = judge_prefix_hits(
        hit_tokens=640.0, queried_tokens=100.0, explained_tokens=640, prompt_tokens=3000
    )
    assert (found.most_tokens, found.reason) == (640, "")

"""What servers say of their KV blocks, in every way in which they say it or do not."""

import pytest

from workbench.kv_blocks import KvBlocks, kv_blocks

_LABELS = 'block_size="{}",enable_prefix_caching="{}",engine="{}",num_gpu_blocks="{}",user="say \\"{{x}}\\""'


def _page(*engines: tuple[object, ...]) -> str:
    lines = [f"vllm:cache_config_info{{{_LABELS.format(*engine)}}} 1.0" for engine in engines]
    return "\n".join(["# TYPE vllm:cache_config_info gauge", *lines, ""])


def test_the_labels_of_the_metrics_page_are_enough() -> None:
    """One block is vLLM's placeholder and never holds tokens."""
    assert kv_blocks({}, _page((32, True, 0, 9000))) == KvBlocks(32, 8999)


def test_what_the_engine_resolved_goes_before_the_page() -> None:
    resolved = {"cache_config.block_size": 16, "cache_config.num_gpu_blocks": 101}
    assert kv_blocks(resolved, _page((32, True, 0, 9000))) == KvBlocks(16, 100)


def test_half_an_answer_of_the_engine_is_none() -> None:
    assert kv_blocks({"cache_config.block_size": 16}, _page((32, True, 0, 9000))).tokens == 32


@pytest.mark.parametrize(
    "page", ["", "vllm:num_requests_running 0\n", "vllm:cache_config_info{block_size=", "<html>"]
)
def test_a_server_that_says_nothing_has_unknown_blocks_and_a_reason(page: str) -> None:
    blocks = kv_blocks({}, page)
    assert (blocks.tokens, blocks.capacity) == (None, None)
    assert "does not say how large" in blocks.reason


def test_a_size_without_a_count_is_a_size() -> None:
    blocks = kv_blocks({}, _page((32, True, 0, None)))
    assert (blocks.tokens, blocks.capacity) == (32, None)
    assert "how many" in blocks.reason


def test_two_engines_have_no_common_capacity() -> None:
    blocks = kv_blocks({}, _page((32, True, 0, 500), (32, True, 1, 500)))
    assert (blocks.tokens, blocks.capacity) == (32, None)
    assert "2 engines" in blocks.reason


def test_a_cache_that_is_off_is_no_cache() -> None:
    assert not kv_blocks({}, _page((32, False, 0, 500))).prefix_caching


@pytest.mark.parametrize(
    ("method", "kept", "drops"), [("eagle3", False, True), ("eagle3", True, False), ("ngram", False, False)]
)
def test_only_heads_that_read_hidden_states_compute_the_last_hit_again(
    method: str, kept: bool, drops: bool
) -> None:
    resolved = {"speculative_config.method": method, "speculative_config.disable_eagle_block_drop": kept}
    assert kv_blocks(resolved, _page((32, True, 0, 500))).drops_last_hit is drops


@pytest.mark.parametrize(
    ("name", "value", "whole"),
    [("mamba_block_size", 528, False), ("mamba_block_size", None, True), ("prefix_match_unit", 16, False)],
)
def test_a_cache_of_several_kinds_of_layers_may_hit_parts_of_a_block(
    name: str, value: int | None, whole: bool
) -> None:
    resolved = {
        "cache_config.block_size": 16,
        "cache_config.num_gpu_blocks": 101,
        f"cache_config.{name}": value,
    }
    assert kv_blocks(resolved, "").hits_whole_blocks is whole
    page = _page((32, True, 0, 500)).replace("{block_size", f'{{{name}="{value}",block_size')
    assert kv_blocks({}, page).hits_whole_blocks is whole

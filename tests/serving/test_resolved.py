import json
from pathlib import Path

from serving.resolved import flatten_server_info, resolved_difference

GOLDEN = Path(__file__).parent / "golden"


def resolved(name: str) -> dict[str, object]:
    return flatten_server_info(json.loads((GOLDEN / f"server_info_vllm_0_32_{name}.json").read_text()))


def test_what_ngram_changed_silently_is_in_the_difference() -> None:
    """Captured from two real starts: ngram also caps max_num_scheduled_tokens."""
    rows = {
        field: (before, after)
        for field, before, after in resolved_difference(resolved("off"), resolved("ngram"))
    }
    assert rows["scheduler_config.max_num_scheduled_tokens"] == (None, 2048)
    assert rows["speculative_config.method"] == (None, "ngram")
    assert rows["speculative_config.num_speculative_tokens"] == (None, 6)


def test_two_starts_of_one_configuration_do_not_differ() -> None:
    info = json.loads((GOLDEN / "server_info_vllm_0_32_off.json").read_text())
    info["vllm_config"]["instance_id"] = "another"
    assert resolved_difference(resolved("off"), flatten_server_info(info)) == []


def test_the_drafts_and_targets_whole_configurations_are_not_repeated() -> None:
    fields = [row[0] for row in resolved_difference(resolved("off"), resolved("ngram"))]
    assert not any("target_model_config" in field for field in fields)
    assert len(fields) < 40


def test_a_token_is_never_stored() -> None:
    info = {"vllm_config": {"model_config": {"hf_token": "secret", "seed": 0}}}
    assert flatten_server_info(info) == {"model_config.seed": 0}

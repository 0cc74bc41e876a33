from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from serving.config import ServerConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"modle": {}},
        {"model": {"name": "x", "quantisation": "int8"}},
        {"speculation": {"method": "ngram", "num_speculative_tokens": 6, "prompt_lookup": 2}},
        {"speculation": {"method": "ngram"}},
        {"speculation": {"method": "ngram", "num_speculative_tokens": "6"}},
        {"speculation": {"method": "ngram", "num_speculative_tokens": 0}},
        {"speculation": {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 5}},
        {"speculation": {"method": "eagle9", "num_speculative_tokens": 3}},
        {"speculation": {"num_speculative_tokens": 3}},
        {"batching": {"max_num_seqs": 1.5}},
        {"batching": {"max_num_seqs": True}},
        {"kv_cache": {"block_size": 24}},
        {"engine": {"startup_deadline_s": 0}},
        {"engine": {"enforce_eager": "yes"}},
    ],
)
def test_what_is_not_exactly_right_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ServerConfig.model_validate(wrong)


def test_the_short_form_of_the_model_is_its_name() -> None:
    short = ServerConfig.model_validate({"model": "stories-15m"})
    assert short == ServerConfig.model_validate({"model": {"name": "stories-15m"}})


def test_a_config_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ServerConfig().model.name = "other"  # type: ignore[misc]


def models(model: type[BaseModel]) -> set[type[BaseModel]]:
    found = {model}
    for section in model.model_fields.values():
        if isinstance(section.annotation, type) and issubclass(section.annotation, BaseModel):
            found |= models(section.annotation)
    return found


def test_every_field_says_what_it_means() -> None:
    for model in models(ServerConfig):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name} has no description"

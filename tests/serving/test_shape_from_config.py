"""Shapes read from config.json: against published counts, by hand, and what is said of files that cannot be read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.errors import ModelError
from accounting.estimate.cache_bytes import bytes_per_token, sequence_bytes, state_elements
from accounting.estimate.parameters import active_parameters, parameters
from accounting.estimate.shape import Experts, FeedForward, GroupedAttention, ModelShape, StateSpace
from serving.models.checkpoint_facts import CheckpointFacts
from serving.models.shape_from_config import ReadShape, read_shape, shape_from_config
from tests.serving.public_configs import (
    DEEPSEEK_V3,
    FALCON_7B,
    GEMMA_2_9B,
    GEMMA_3_4B,
    GPT_OSS_20B,
    JAMBA,
    LLAMA_2_7B,
    LLAMA_4_SCOUT,
    MISTRAL_7B,
    MIXTRAL,
    PUBLIC,
    QWEN3_30B,
    UNTIED,
    config,
)

GIB = 2**30
LONG = 262_144

Config = dict[str, Any]


def read(said: Config) -> ReadShape:
    return read_shape(CheckpointFacts("mine", said))


def total(said: Config) -> int:
    return parameters(shape_from_config(said, name="mine")).total


def refused(said: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        shape_from_config(said, name="mine")
    assert caught.value.message.startswith("mine")
    return caught.value


def problem(said: Config) -> str | None:
    """What is said of a config that cannot be read; None of one that can."""
    try:
        shape_from_config(said, name="mine")
    except ModelError as error:
        return error.message
    return None


def windows(shape: ModelShape) -> dict[int | None, int]:
    """Window -> how many layers have it."""
    return {
        kind.mixer.window: kind.count for kind in shape.layers if isinstance(kind.mixer, GroupedAttention)
    }


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_model_has_as_many_parameters_as_published(name: str) -> None:
    model = PUBLIC[name]
    found = read(model.config)
    if model.within:
        assert parameters(found.shape).total == pytest.approx(model.parameters, rel=model.within)
    else:
        assert parameters(found.shape).total == model.parameters
    assert found.shape.name == "mine"
    assert not [note for note in found.notes if "not known" in note]


@pytest.mark.parametrize(
    ("said", "published", "embedding_too"),
    [
        (MIXTRAL, 12.9e9, True),  # arXiv 2401.04088: 13B
        (QWEN3_30B, 3.3e9, True),  # model card
        (DEEPSEEK_V3, 37e9, True),  # arXiv 2412.19437
        (JAMBA, 12e9, True),  # arXiv 2403.19887
        (LLAMA_4_SCOUT, 17e9, True),  # model card
        (GPT_OSS_20B, 3.61e9, False),  # arXiv 2508.10925: without the embedding that is looked up
    ],
)
def test_a_token_passes_through_as_many_as_published(
    said: Config, published: float, embedding_too: bool
) -> None:
    counted = active_parameters(shape_from_config(said, name="mine"))
    active = counted.total if embedding_too else counted.total - counted.embedding
    assert active == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize(
    ("said", "gib"), [(LLAMA_2_7B, 128), (MISTRAL_7B | {"sliding_window": None}, 32), (MISTRAL_7B, 0.5)]
)
def test_keys_and_values_of_a_long_context_in_bfloat16(said: Config, gib: float) -> None:
    assert sequence_bytes(shape_from_config(said, name="mine"), LONG) == gib * GIB


def test_jamba_keeps_keys_in_four_layers_and_states_in_the_others() -> None:
    shape = shape_from_config(JAMBA, name="mine")
    scans = [kind for kind in shape.layers if isinstance(kind.mixer, StateSpace)]
    assert sum(kind.count for kind in scans) == 28
    assert shape.depth == 32
    # 28 layers of 8192 channels, 16 numbers of state and 3 last inputs each
    assert state_elements(shape) == 28 * 8192 * 19
    assert sequence_bytes(shape, LONG) == 4 * GIB + 2 * 28 * 8192 * 19
    mixtures = sum(kind.count for kind in shape.layers if isinstance(kind.feed_forward, Experts))
    assert mixtures == 16


def test_deepseek_keeps_one_compressed_vector_a_token() -> None:
    assert bytes_per_token(shape_from_config(DEEPSEEK_V3, name="mine")) == 2 * (512 + 64) * 61


def test_where_windows_lie() -> None:
    def found(said: Config) -> dict[int | None, int]:
        return windows(shape_from_config(said, name="mine"))

    assert found(GEMMA_2_9B) == {4096: 21, None: 21}
    assert found(GPT_OSS_20B) == {128: 12, None: 12}
    assert found({key: value for key, value in GPT_OSS_20B.items() if key != "layer_types"}) == {
        128: 12,
        None: 12,
    }
    assert found(GEMMA_3_4B) == {1024: 29, None: 5}
    assert found(LLAMA_4_SCOUT) == {8192: 36, None: 12}
    assert found(LLAMA_4_SCOUT | {"no_rope_layers": [1, 0] * 24}) == {8192: 24, None: 24}
    assert found(LLAMA_2_7B | {"sliding_window": 64}) == {None: 32}
    assert found(LLAMA_2_7B | {"sliding_window": 64, "layer_types": ["sliding_attention"] * 32}) == {64: 32}
    qwen = config("qwen2", 64, 4, 4, 100, inner=96, kv=2, sliding_window=32, max_window_layers=3)
    assert found(qwen) == {None: 4}
    assert found(qwen | {"use_sliding_window": True}) == {None: 3, 32: 1}


def test_the_first_layer_of_gemma_2_is_a_near_one() -> None:
    first = shape_from_config(GEMMA_2_9B, name="mine").layers[0]
    assert isinstance(first.mixer, GroupedAttention)
    assert first.mixer.window == 4096
    assert first.norms == 4


def test_biases_and_norms_that_a_family_has_or_config_says() -> None:
    plain = config("llama", 64, 2, 4, 100, inner=96, kv=2, **UNTIED)  # heads of 16
    queries, keys = 64, 32
    assert total(plain | {"attention_bias": True}) - total(plain) == 2 * (queries + 2 * keys + 64)
    assert total(plain | {"mlp_bias": True}) - total(plain) == 2 * (96 + 96 + 64)
    assert total(plain | {"model_type": "qwen2"}) - total(plain) == 2 * (queries + 2 * keys)
    assert total(plain | {"model_type": "qwen3", "head_dim": 16}) - total(plain) == 2 * (16 + 16)
    assert total(plain | {"model_type": "olmo2"}) - total(plain) == 2 * (queries + keys)
    assert total(plain) - total(plain | {"tie_word_embeddings": True}) == 100 * 64


def test_qwen_moe_has_plain_blocks_where_its_keys_say() -> None:
    said = config(
        "qwen2_moe", 64, 6, 4, 100, inner=96, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8,
        shared_expert_intermediate_size=32, decoder_sparse_step=2, mlp_only_layers=[1],
    )  # fmt: skip
    blocks = {kind.feed_forward: kind.count for kind in shape_from_config(said, name="mine").layers}
    mixture = Experts(
        number=4, chosen=2, expert=FeedForward(width=8), shared=FeedForward(width=32), shared_gate=True
    )
    assert blocks == {FeedForward(width=96): 4, mixture: 2}  # layers 3 and 5 are sparse, 1 is taken out


def test_a_model_inside_a_larger_config_is_read_by_its_own_family() -> None:
    found = read(GEMMA_3_4B)
    assert found.family == "gemma3_text"
    # Gemma 3 report, table 1: 3,209M beside 675M of embedding and the vision part
    assert parameters(found.shape).body == 3_209_010_688
    assert found.shape.vocabulary == 262_208
    notes = " ".join(found.notes)
    assert "vocab_size = 262,208" in notes
    assert "vision_config is not counted" in notes


def test_defaults_stand_in_only_inside_a_larger_config() -> None:
    inner: Config = GEMMA_3_4B["text_config"]
    error = refused(inner)
    assert "num_attention_heads" in error.message
    assert "vocab_size" in error.message


def test_falcon_may_have_a_head_of_its_own() -> None:
    assert total(FALCON_7B | {"tie_word_embeddings": False}) == 7_217_189_760


def test_a_class_is_enough_to_know_the_family() -> None:
    said = DEEPSEEK_V3 | {"model_type": "my_own", "architectures": ["DeepseekV3ForCausalLM"]}
    found = read(said)
    assert found.family == "deepseek_v3"
    assert parameters(found.shape).total == PUBLIC["DeepSeek-V3"].parameters
    assert any("num_nextn_predict_layers = 1" in note for note in found.notes)


def test_an_unknown_family_is_read_like_llama_and_that_is_said() -> None:
    found = read(LLAMA_2_7B | {"model_type": "novel"})
    assert parameters(found.shape) == parameters(shape_from_config(LLAMA_2_7B, name="mine"))
    assert [note for note in found.notes if "novel" in note and "not known" in note]
    experts = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128}
    mixed = read(
        LLAMA_2_7B | {"model_type": "novel", "n_shared_experts": 1, "first_k_dense_replace": 2} | experts
    )
    assert [kind.count for kind in mixed.shape.layers] == [2, 30]
    dense = read(LLAMA_2_7B | {"model_type": "novel", "num_experts": None})
    assert dense.shape == found.shape


@pytest.mark.parametrize("key", ["mamba_d_state", "linear_num_value_heads", "kv_lora_rank"])
def test_an_unknown_family_with_other_mixers_is_refused(key: str) -> None:
    error = refused(LLAMA_2_7B | {"model_type": "novel", key: 16})
    assert "novel" in error.message
    assert key in error.message
    assert error.hint


def test_every_missing_setting_is_named_with_the_family() -> None:
    error = refused({"model_type": "qwen3_moe", "hidden_size": 64, "num_experts": None})
    assert "read as qwen3_moe" in error.message
    for key in (
        "num_hidden_layers", "num_attention_heads", "vocab_size", "num_experts (null)", "num_experts_per_tok",
        "moe_intermediate_size",
    ):  # fmt: skip
        assert key in error.message
    assert "hidden_size" not in error.message
    assert error.hint


def test_what_a_setting_is_also_called_is_said() -> None:
    message = refused({"model_type": "gpt2", "n_embd": 64, "n_layer": 0}).message
    assert "num_attention_heads (or n_head)" in message
    assert "n_layer must be a whole number of at least 1, not 0" in message


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hidden_size": "4096"}, "hidden_size must be a whole number of at least 1, not '4096'"),
        ({"vocab_size": 0}, "vocab_size must be a whole number of at least 1, not 0"),
        ({"num_hidden_layers": -2}, "num_hidden_layers must be"),
        ({"num_hidden_layers": True}, "num_hidden_layers must be"),
        ({"intermediate_size": 1.5}, "intermediate_size must be"),
        ({"num_hidden_layers": 10**9}, "at most 10,000"),
        ({"num_key_value_heads": 5}, "32 heads cannot share 5"),
        ({"attention_bias": "yes"}, "attention_bias must be true or false"),
        ({"num_attention_heads": 8192}, "head_dim must be at least 1"),
        ({"layer_types": ["full_attention"]}, "layer_types names 1 layers where num_hidden_layers is 32"),
        ({"layer_types": ["linear_attention"] * 32}, "'linear_attention'"),
        ({"layer_types": 3}, "layer_types must be a list"),
        ({"architectures": [1]}, "architectures"),
    ],
)
def test_a_wrong_setting_is_named(wrong: Config, said: str) -> None:
    assert said in refused(LLAMA_2_7B | wrong).message


@pytest.mark.parametrize(
    "first", [{"hidden_size": 0}, {"num_key_value_heads": 5}, {"num_attention_heads": None}]
)
def test_one_wrong_setting_does_not_hide_another(first: Config) -> None:
    message = refused(LLAMA_2_7B | {"vocab_size": "x"} | first).message
    assert "vocab_size" in message
    assert next(iter(first)) in message or "32 heads cannot share 5" in message


def test_nothing_that_is_missing_hides_what_is_missing_after_it() -> None:
    for said in (LLAMA_2_7B, MIXTRAL, DEEPSEEK_V3, JAMBA, FALCON_7B):
        family = {
            "model_type": said["model_type"],
            "num_kv_heads": 8,
            "num_key_value_heads": 8,
            "num_experts": 8,
        }
        message = refused(family | {"new_decoder_architecture": True, "n_routed_experts": 8}).message
        for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"):
            assert key in message


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"num_experts_per_tok": 9}, "num_experts_per_tok is 9 where num_local_experts is 8"),
        ({"num_local_experts": None}, "num_local_experts (null)"),
        ({"num_experts_per_tok": None}, "num_experts_per_tok (null)"),
        ({"num_local_experts": 0}, "num_local_experts must be a whole number of at least 1, not 0"),
    ],
)
def test_odd_experts_are_named(wrong: Config, said: str) -> None:
    assert said in refused(MIXTRAL | wrong).message


def test_the_number_of_experts_has_two_names() -> None:
    """transformers 5 saves Qwen3-MoE's num_experts as num_local_experts."""
    renamed = {"num_local_experts" if key == "num_experts" else key: said for key, said in QWEN3_30B.items()}
    assert total(renamed) == total(QWEN3_30B)
    message = refused(renamed | {"num_experts_per_tok": 129}).message
    assert "num_experts_per_tok is 129 where num_local_experts is 128" in message
    neither = {key: said for key, said in renamed.items() if key != "num_local_experts"}
    assert "it lacks num_experts (or num_local_experts)" in refused(neither).message


def test_experts_of_an_unknown_family_need_to_be_chosen() -> None:
    message = refused(LLAMA_2_7B | {"model_type": "novel", "num_experts": 8}).message
    assert "num_experts_per_tok" in message
    assert "Llama-like (novel)" in message


@pytest.mark.parametrize(
    ("family", "key"),
    [
        ("novel", "num_moe_experts"),
        ("novel", "n_experts"),
        ("llama", "num_local_experts"),
        ("qwen3", "num_experts"),
    ],
)
def test_experts_under_a_name_that_is_not_read_are_not_taken_as_dense(family: str, key: str) -> None:
    message = refused(LLAMA_2_7B | {"model_type": family, key: 8, "num_experts_per_tok": 2}).message
    assert f"it counts experts ({key} = 8), which are not read" in message
    assert total(LLAMA_2_7B | {key: 1}) == total(LLAMA_2_7B)


def test_other_settings_of_experts_in_a_dense_model_are_named() -> None:
    said = CheckpointFacts("mine", LLAMA_2_7B | {"moe_intermediate_size": 700, "router_aux_loss_coef": 0.1})
    (note,) = read_shape(said).notes
    assert "read as dense, and config.json holds moe_intermediate_size" in note


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (LLAMA_2_7B | {"speculators_model_type": "eagle3"}, "speculative head"),
        (LLAMA_2_7B | {"architectures": ["EagleLlamaForCausalLM"]}, "speculative head"),
        ({"model_type": "t5", "is_encoder_decoder": True, "vocab_size": 32128}, "encoder-decoder"),
        ({"model_type": "vit", "image_size": 224, "patch_size": 16, "hidden_size": 768}, "vision model"),
        (LLAMA_2_7B | {"architectures": ["LlamaForSequenceClassification"]}, "generates no text"),
        (LLAMA_2_7B | {"model_type": "bert", "architectures": ["BertModel"]}, "generates no text"),
    ],
)
def test_what_is_no_language_model_of_its_own(said: Config, words: str) -> None:
    error = refused(said)
    assert words in error.message
    assert error.hint


@pytest.mark.parametrize(
    "empty", [{}, {"model_type": None}, {"model_type": 3, "text_config": {"architectures": 1}}]
)
def test_a_config_that_says_next_to_nothing_is_refused(empty: Config) -> None:
    assert "hidden_size" in refused(empty).message


def test_files_that_hold_something_else_are_mentioned() -> None:
    small = config("llama", 8, 1, 2, 10, inner=16, kv=2, **UNTIED)
    there = total(small)

    def notes(elements: int, **more: Any) -> tuple[str, ...]:
        return read_shape(CheckpointFacts("mine", small | more, {"all": (elements,)})).notes

    assert notes(there) == ()
    assert f"hold {2 * there:,} elements" in notes(2 * there)[0]
    assert notes(2 * there, quantization_config={"quant_method": "fp8"}) == ()
    twice = {"all": (there - 80,), "lm_head.weight": (10, 8)}
    tied = small | {"tie_word_embeddings": True}
    assert read_shape(CheckpointFacts("mine", tied, twice)).notes == ()


EXPERT_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts")
LLAMA_LIKE = (
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma2",
    "gemma3_text",
    "olmo2",
    "starcoder2",
    "gpt_neox",
)


@st.composite
def small_configs(draw: st.DrawFn) -> Config:
    """Small models of many families, experts and states among them."""
    family = draw(
        st.sampled_from((*LLAMA_LIKE, "mixtral", "qwen2_moe", "gpt_oss", "deepseek_v3", "jamba", "mamba"))
    )
    kv_heads, number = draw(st.integers(1, 3)), draw(st.integers(2, 5))
    said = config(
        family, draw(st.integers(8, 64)), draw(st.integers(1, 9)), kv_heads * draw(st.integers(1, 3)),
        draw(st.integers(1, 500)), inner=draw(st.integers(1, 99)), kv=kv_heads, head_dim=draw(st.integers(1, 16)),
        num_experts=number, num_local_experts=number, n_routed_experts=number, moe_intermediate_size=7,
        num_experts_per_tok=draw(st.integers(1, number)), shared_expert_intermediate_size=draw(st.integers(0, 9)),
        n_shared_experts=draw(st.integers(0, 2)), first_k_dense_replace=draw(st.integers(0, 3)),
        decoder_sparse_step=draw(st.integers(1, 3)), q_lora_rank=draw(st.none() | st.integers(1, 9)),
        kv_lora_rank=draw(st.integers(1, 9)), qk_nope_head_dim=3, qk_rope_head_dim=2, v_head_dim=5,
        attn_layer_period=draw(st.integers(1, 4)), attn_layer_offset=0, expert_layer_period=2,
        expert_layer_offset=draw(st.integers(0, 1)), state_size=4, sliding_window=draw(st.none() | st.integers(1, 9)),
        tie_word_embeddings=draw(st.booleans()),
    )  # fmt: skip
    if family == "mamba":
        del said["intermediate_size"]
    if family in (*LLAMA_LIKE, "mamba"):  # of them a number of experts is refused
        said = {key: value for key, value in said.items() if key not in EXPERT_COUNTS}
    return said


@given(
    small_configs(), st.sampled_from(["num_hidden_layers", "hidden_size", "vocab_size"]), st.integers(1, 9)
)
def test_a_larger_model_never_has_fewer_parameters(said: Config, key: str, more: int) -> None:
    assert total(said | {key: said[key] + more}) > total(said)


@given(small_configs())
def test_no_token_passes_through_more_than_all(said: Config) -> None:
    shape = shape_from_config(said, name="mine")
    every, active = parameters(shape), active_parameters(shape)
    assert active.total <= every.total
    assert shape.depth == said["num_hidden_layers"]
    mixtures = [kind.feed_forward for kind in shape.layers if isinstance(kind.feed_forward, Experts)]
    assert (active == every) == all(one.chosen == one.number for one in mixtures)


@given(small_configs())
def test_every_expert_chosen_is_every_parameter_active(said: Config) -> None:
    shape = shape_from_config(said | {"num_experts_per_tok": said.get("num_experts", 1)}, name="mine")
    assert active_parameters(shape) == parameters(shape)


@given(small_configs(), st.data())
def test_a_config_without_one_of_its_settings_is_read_or_refused_by_name(
    said: Config, data: st.DataObject
) -> None:
    """Never anything but a shape or a ModelError that names the setting."""
    key = data.draw(st.sampled_from(sorted(said)))
    left = {name: value for name, value in said.items() if name != key}
    said_of_it = problem(left)
    # Without its family it is another model; without the other two, their defaults may fit nothing; without its own count of
    # experts it would be dense beside those of other families.
    named = said_of_it is None or key in said_of_it or "counts experts" in said_of_it
    assert named or key in ("model_type", "head_dim", "num_key_value_heads")

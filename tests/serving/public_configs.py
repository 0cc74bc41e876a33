"""Published models: what their config.json says, as far as a shape depends on it, and how many parameters they have.

Typed in by hand. `parameters`: the count that the hub shows for the safetensors files (the index's total_size over the
bytes of an element), unless a comment says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PublicModel:
    """`within`: how far a count may be off where the published one is rounded."""

    config: dict[str, Any]
    parameters: float
    within: float = 0.0


def config(
    model_type: str, hidden: int, layers: int, heads: int, vocabulary: int, **more: Any
) -> dict[str, Any]:
    """The keys that most families share; `kv` and `inner` for the other two."""
    named = {"kv": "num_key_value_heads", "inner": "intermediate_size"}
    return {
        "model_type": model_type,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "vocab_size": vocabulary,
        **{named.get(key, key): value for key, value in more.items()},
    }


UNTIED = {"tie_word_embeddings": False}
TIED = {"tie_word_embeddings": True}

LLAMA_2_7B = config("llama", 4096, 32, 32, 32000, inner=11008, kv=32, max_position_embeddings=4096, **UNTIED)
LLAMA_3_8B = config("llama", 4096, 32, 32, 128256, inner=14336, kv=8, attention_bias=False, **UNTIED)
MISTRAL_7B = config("mistral", 4096, 32, 32, 32000, inner=14336, kv=8, sliding_window=4096, **UNTIED)
MIXTRAL = config(
    "mixtral", 4096, 32, 32, 32000, inner=14336, kv=8, num_local_experts=8, num_experts_per_tok=2,
    sliding_window=None, **UNTIED,
)  # fmt: skip
QWEN3_30B = config(
    "qwen3_moe", 2048, 48, 32, 151936, inner=6144, kv=4, head_dim=128, num_experts=128, num_experts_per_tok=8,
    moe_intermediate_size=768, decoder_sparse_step=1, mlp_only_layers=[], attention_bias=False,
    use_sliding_window=False, sliding_window=None, **UNTIED,
)  # fmt: skip
DEEPSEEK_V3 = config(
    "deepseek_v3", 7168, 61, 128, 129280, inner=18432, kv=128, moe_intermediate_size=2048, n_routed_experts=256,
    n_shared_experts=1, num_experts_per_tok=8, first_k_dense_replace=3, moe_layer_freq=1, q_lora_rank=1536,
    kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, topk_method="noaux_tc",
    num_nextn_predict_layers=1, attention_bias=False, **UNTIED,
)  # fmt: skip
DEEPSEEK_V2_LITE = config(
    "deepseek_v2", 2048, 27, 16, 102400, inner=10944, kv=16, moe_intermediate_size=1408, n_routed_experts=64,
    n_shared_experts=2, num_experts_per_tok=6, first_k_dense_replace=1, moe_layer_freq=1, q_lora_rank=None,
    kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, topk_method="greedy", **UNTIED,
)  # fmt: skip
JAMBA = config(
    "jamba", 4096, 32, 32, 65536, inner=14336, kv=8, attn_layer_period=8, attn_layer_offset=4,
    expert_layer_period=2, expert_layer_offset=1, num_experts=16, num_experts_per_tok=2, mamba_d_state=16,
    mamba_d_conv=4, mamba_expand=2, mamba_dt_rank=256, mamba_conv_bias=True, mamba_proj_bias=False,
    max_position_embeddings=262144, **UNTIED,
)  # fmt: skip
GPT_OSS_20B = config(
    "gpt_oss", 2880, 24, 64, 201088, inner=2880, kv=8, head_dim=64, num_local_experts=32, num_experts_per_tok=4,
    attention_bias=True, sliding_window=128, layer_types=["sliding_attention", "full_attention"] * 12, **UNTIED,
)  # fmt: skip
LLAMA_4_SCOUT = config(
    "llama4_text", 5120, 48, 40, 202048, inner=8192, kv=8, head_dim=128, intermediate_size_mlp=16384,
    num_local_experts=16, num_experts_per_tok=1, interleave_moe_layer_step=1, attention_chunk_size=8192,
    no_rope_layers=[], **UNTIED,
)  # fmt: skip
GEMMA_2_9B = config(
    "gemma2", 3584, 42, 16, 256000, inner=14336, kv=8, head_dim=256, sliding_window=4096,
)  # fmt: skip
FALCON_7B = config(
    "falcon", 4544, 32, 71, 65024, multi_query=True, new_decoder_architecture=False, parallel_attn=True,
    bias=False, alibi=False,
)  # fmt: skip
#: As published: most of the language model's settings are left to its class.
GEMMA_3_4B = {
    "model_type": "gemma3",
    "architectures": ["Gemma3ForConditionalGeneration"],
    "vision_config": {"hidden_size": 1152, "image_size": 896, "num_hidden_layers": 27},
    "text_config": {
        "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
        "sliding_window": 1024,
    },
}  # fmt: skip

PUBLIC: dict[str, PublicModel] = {
    "Llama-2-7B": PublicModel(LLAMA_2_7B, 6_738_415_616),
    "Llama-3-8B": PublicModel(LLAMA_3_8B, 8_030_261_248),
    "Llama-3.1-70B": PublicModel(
        config("llama", 8192, 80, 64, 128256, inner=28672, kv=8, **UNTIED), 70_553_706_496
    ),
    "Llama-3.1-405B": PublicModel(
        config("llama", 16384, 126, 128, 128256, inner=53248, kv=8, **UNTIED), 405.85e9, within=1e-4
    ),
    "TinyLlama-1.1B": PublicModel(
        config("llama", 2048, 22, 32, 32000, inner=5632, kv=4, **UNTIED), 1_100_048_384
    ),
    "SmolLM2-135M": PublicModel(
        config("llama", 576, 30, 9, 49152, inner=1536, kv=3, **TIED), 134_515_008
    ),
    "Mistral-7B-v0.1": PublicModel(MISTRAL_7B, 7_241_732_096),
    "Mixtral-8x7B": PublicModel(MIXTRAL, 46_702_792_704),
    "Qwen2.5-7B": PublicModel(
        config(
            "qwen2", 3584, 28, 28, 152064, inner=18944, kv=4, use_sliding_window=False, sliding_window=131072,
            max_window_layers=28, **UNTIED,
        ),
        7_615_616_512,
    ),
    "Qwen2.5-0.5B": PublicModel(
        config("qwen2", 896, 24, 14, 151936, inner=4864, kv=2, use_sliding_window=False, **TIED), 494_032_768
    ),
    "Qwen1.5-MoE-A2.7B": PublicModel(
        config(
            "qwen2_moe", 2048, 24, 16, 151936, inner=5632, kv=16, num_experts=60, num_experts_per_tok=4,
            moe_intermediate_size=1408, shared_expert_intermediate_size=5632, decoder_sparse_step=1, **UNTIED,
        ),
        14_315_784_192,
    ),
    "Qwen3-8B": PublicModel(
        config(
            "qwen3", 4096, 36, 32, 151936, inner=12288, kv=8, head_dim=128, attention_bias=False,
            use_sliding_window=False, **UNTIED,
        ),
        8_190_735_360,
    ),
    "Qwen3-30B-A3B": PublicModel(QWEN3_30B, 30_532_122_624),
    "Gemma-7B": PublicModel(
        config("gemma", 3072, 28, 16, 256000, inner=24576, kv=16, head_dim=256), 8_537_680_896
    ),
    "Gemma-2-9B": PublicModel(GEMMA_2_9B, 9_241_705_984),
    "Gemma-3-270m": PublicModel(
        config("gemma3_text", 640, 18, 4, 262144, inner=2048, kv=1, head_dim=256, sliding_window=512),
        268_098_176,
    ),
    "Phi-3-mini-4k": PublicModel(
        config("phi3", 3072, 32, 32, 32064, inner=8192, kv=32, sliding_window=2047, **UNTIED), 3_821_079_552
    ),
    "OLMo-2-7B": PublicModel(
        config("olmo2", 4096, 32, 32, 100352, inner=11008, kv=32, **UNTIED), 7_298_617_344
    ),
    # Model card: 8.1B; the hub shows 8.17B.
    "Granite-3.1-8B": PublicModel(
        config("granite", 4096, 40, 32, 49155, inner=12800, kv=8, **TIED), 8.17e9, within=1e-3
    ),
    "GPT-2": PublicModel(
        {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024, "vocab_size": 50257},
        124_439_808,
    ),
    "OPT-6.7B": PublicModel(
        config(
            "opt", 4096, 32, 32, 50272, ffn_dim=16384, max_position_embeddings=2048, word_embed_proj_dim=4096,
            do_layer_norm_before=True,
        ),
        6_658_473_984,
    ),
    "OPT-350m": PublicModel(
        config(
            "opt", 1024, 24, 16, 50272, ffn_dim=4096, max_position_embeddings=2048, word_embed_proj_dim=512,
            do_layer_norm_before=False,
        ),
        331_196_416,
    ),
    "Pythia-6.9B": PublicModel(
        config("gpt_neox", 4096, 32, 32, 50432, inner=16384, **UNTIED), 6_857_302_016
    ),
    # The index counts 7,217,189,760, the head a second time: a server that ties them holds this many.
    "Falcon-7B": PublicModel(FALCON_7B, 7_217_189_760 - 65024 * 4544),
    # The same: its index says 83,671,941,120 bytes of bfloat16 with the head a second time.
    "Falcon-40B": PublicModel(
        config("falcon", 8192, 60, 128, 65024, new_decoder_architecture=True, num_kv_heads=8, bias=False),
        83_671_941_120 // 2 - 65024 * 8192,
    ),
    "BLOOM-560m": PublicModel(
        {
            "model_type": "bloom", "n_embed": 1024, "n_layer": 24, "num_attention_heads": 16, "seq_length": 2048,
            "vocab_size": 250880,
        },
        559_214_592,
    ),
    # Model card: 7B; the hub shows 7.17B.
    "StarCoder2-7B": PublicModel(
        config("starcoder2", 4608, 32, 36, 49152, inner=18432, kv=4, sliding_window=4096, use_bias=True),
        7.17e9,
        within=1e-3,
    ),
    "DeepSeek-V2-Lite": PublicModel(DEEPSEEK_V2_LITE, 15_706_484_224),
    # Paper (arXiv 2412.19437): 671B without the prediction layer.
    "DeepSeek-V3": PublicModel(DEEPSEEK_V3, 671_026_419_200),
    # Its index says 103,140,646,656 bytes of bfloat16.
    "Jamba-v0.1": PublicModel(JAMBA, 103_140_646_656 // 2),
    # Model card: 2.8B; the hub's count. Its 50,277 tokens stand as 50,280 rows.
    "Mamba-2.8B": PublicModel(
        {
            "model_type": "mamba", "hidden_size": 2560, "num_hidden_layers": 64, "vocab_size": 50280,
            "intermediate_size": 5120, "state_size": 16, "conv_kernel": 4, "time_step_rank": 160,
            "use_bias": False, "use_conv_bias": True,
        },
        2_768_345_600,
    ),
    # Model card (arXiv 2508.10925): 20.91B; the exact number is what Ollama says of gpt-oss:20b.
    "gpt-oss-20b": PublicModel(GPT_OSS_20B, 20_914_757_184),
    # Model card: 109B with images; the hub's 108.64B less 0.87B of the vision part.
    "Llama-4-Scout (text)": PublicModel(LLAMA_4_SCOUT, 107.77e9, within=1e-3),
}  # fmt: skip

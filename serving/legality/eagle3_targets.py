"""Which target classes hand out inner hidden states: those of vLLM 0.32 that derive from SupportsEagle3.

Taken from vLLM's registry and class definitions; a test reads the installed source again.
"""

EAGLE3_TARGETS = frozenset(
    {
        "AfmoeForCausalLM", "ApertusForCausalLM", "ClefOmniForJointSchema", "Cohere2MoeForCausalLM",
        "CohereCompassForConditionalGeneration", "ColQwen3", "ColQwen3_5",
        "Cosmos3ForConditionalGeneration", "DFlash2DraftModel", "DFlashDraftModel",
        "DFlashLagunaForCausalLM", "DFlashMuseGlimmerAssistantModel", "DeepseekForCausalLM",
        "DeepseekV2ForCausalLM", "DeepseekV3BidirectionalModel", "DeepseekV3ForCausalLM",
        "Eagle3DeepseekV2ForCausalLM", "Eagle3DeepseekV3ForCausalLM", "Eagle3Qwen3ForCausalLM",
        "EagleDeepSeekMTPModel", "Ernie4_5ForCausalLM", "Exaone4_5_ForConditionalGeneration",
        "Gemma4DSparkModel", "Gemma4ForCausalLM", "Gemma4ForConditionalGeneration",
        "Gemma4UnifiedForConditionalGeneration", "GptOssForCausalLM", "GraniteForCausalLM",
        "GraniteSWAForCausalLM", "IQuestCoderForCausalLM", "InternLM3ForCausalLM",
        "InternS1ProForConditionalGeneration", "InternS2MobiusForConditionalGeneration",
        "InternS2PreviewForConditionalGeneration", "JinaEmbeddingsV5Model", "K2HorizonForCausalLM",
        "KimiK25ForConditionalGeneration", "LLaMAForCausalLM", "LagunaForCausalLM", "LiLiCorrDraftModel",
        "LightOnOCRForConditionalGeneration", "Llama4ForCausalLM", "Llama4ForConditionalGeneration",
        "LlamaForCausalLM", "LlamaModel", "LlavaForConditionalGeneration", "MiMoForCausalLM",
        "MiMoV2FlashForCausalLM", "MiMoV2ForCausalLM", "MiMoV2OmniForCausalLM", "MiniCPM3ForCausalLM",
        "MiniCPMForCausalLM", "MiniCPMV4_6ForConditionalGeneration", "MiniCPMV4_7ForConditionalGeneration",
        "MiniMaxM2ForCausalLM", "Ministral3ForCausalLM", "Mistral3ForConditionalGeneration",
        "MistralForCausalLM", "MistralLarge3ForCausalLM", "MistralModel", "MuseGlimmerAssistantModel",
        "MuseGlimmerForCausalLM", "MuseGlimmerForConditionalGeneration", "NemotronHForCausalLM",
        "NemotronHPuzzleForCausalLM", "NemotronH_Nano_Omni_Reasoning_V3", "NemotronH_Nano_VL_V2",
        "NemotronH_Omni_Reasoning_V3", "NemotronH_Super_Omni_Reasoning_V3",
        "OpenCUAForConditionalGeneration", "OpsColQwen3Model", "PeagleQwen3ForCausalLM", "Phi3ForCausalLM",
        "PixtralForConditionalGeneration", "Plamo3ForCausalLM", "Qwen2ForCausalLM", "Qwen2Model",
        "Qwen2_5_VLForConditionalGeneration", "Qwen3ASRForConditionalGeneration",
        "Qwen3ASRForcedAlignerForTokenClassification", "Qwen3ASRRealtimeGeneration", "Qwen3DSparkModel",
        "Qwen3ForCausalLM", "Qwen3MoeForCausalLM", "Qwen3NextForCausalLM", "Qwen3OmniDSparkModel",
        "Qwen3OmniMoeForConditionalGeneration", "Qwen3VLForConditionalGeneration",
        "Qwen3VLMoeForConditionalGeneration", "Qwen3VLNemotronEmbedModel", "Qwen3_5ForCausalLM",
        "Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration",
        "SarvamMLAForCausalLM", "Step1ForCausalLM", "TeleChat2ForCausalLM", "TeleChat3ForCausalLM",
        "TeleFLMForCausalLM",
    }
)  # fmt: skip

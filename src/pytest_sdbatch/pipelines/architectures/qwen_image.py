"""Qwen-Image: its text encoder is a whole Qwen2.5-VL, whose eyes hold memory and are not used."""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.pipelines.architectures import parts
from pytest_sdbatch.pipelines.architectures.entry import Architecture, Component, Config, Tokenizer

QWEN_VOCABULARY = 152_064
QWEN_END_OF_TEXT_ID, QWEN_START_ID, QWEN_END_ID = 151_643, 151_644, 151_645
TINY_QWEN_VOCABULARY = 512
_LENGTH = 131_072

_SCHEDULER = parts.flow_scheduler(
    base_image_seq_len=256,
    base_shift=0.5,
    max_image_seq_len=8192,
    max_shift=0.9,
    shift=1.0,
    shift_terminal=0.02,
    use_dynamic_shifting=True,
)


def _text_encoder(parameters: int, *, text: Config, vision: Config, sections: list[int], **config: Any) -> Component:
    rope = {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": sections}
    fixed = {"use_cache": False, "rms_norm_eps": 1e-6, "rope_parameters": rope, "max_position_embeddings": 128_000}
    return Component(
        library="transformers",
        class_name="Qwen2_5_VLForConditionalGeneration",
        config={"text_config": {**fixed, **text}, "vision_config": dict(vision), **config},
        parameters=parameters,
    )


TINY_QWEN_IMAGE = Architecture(
    name="tiny-qwen-image",
    what=f"Qwen-Image {parts.TINY}",
    pipeline_class="QwenImagePipeline",
    components={
        "text_encoder": _text_encoder(
            78_496,
            text={
                "vocab_size": TINY_QWEN_VOCABULARY,
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "bos_token_id": TINY_QWEN_VOCABULARY - 3,
                "eos_token_id": TINY_QWEN_VOCABULARY - 1,
            },
            vision={
                "depth": 1,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_heads": 2,
                "out_hidden_size": 32,
                "fullatt_block_indexes": [0],
            },
            sections=[2, 3, 3],
            image_token_id=TINY_QWEN_VOCABULARY - 4,
            video_token_id=TINY_QWEN_VOCABULARY - 5,
            vision_start_token_id=TINY_QWEN_VOCABULARY - 6,
            vision_end_token_id=TINY_QWEN_VOCABULARY - 7,
        ),
        "transformer": parts.diffusers_part(
            "QwenImageTransformer2DModel",
            92_448,
            patch_size=2,
            in_channels=64,
            out_channels=16,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            axes_dims_rope=(4, 6, 6),
        ),
        "vae": parts.diffusers_part(
            "AutoencoderKLQwenImage", 21_819, base_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1
        ),
        "scheduler": _SCHEDULER,
    },
    tokenizers={"tokenizer": Tokenizer(kind="qwen2", vocabulary=TINY_QWEN_VOCABULARY, length=_LENGTH)},
    height=64,
    width=64,
    steps=4,
    factor=16,
)

QWEN_IMAGE = Architecture(
    name="qwen-image",
    what="Qwen-Image; one call a step unless a negative prompt is given",
    pipeline_class="QwenImagePipeline",
    components={
        "text_encoder": _text_encoder(
            8_292_166_656,
            text={
                "vocab_size": QWEN_VOCABULARY,
                "hidden_size": 3584,
                "intermediate_size": 18_944,
                "num_hidden_layers": 28,
                "num_attention_heads": 28,
                "num_key_value_heads": 4,
            },
            vision={"hidden_size": 1280},
            sections=[16, 24, 24],
        ),
        "transformer": parts.diffusers_part(
            "QwenImageTransformer2DModel",
            20_430_401_088,
            patch_size=2,
            in_channels=64,
            out_channels=16,
            num_layers=60,
            attention_head_dim=128,
            num_attention_heads=24,
            joint_attention_dim=3584,
            axes_dims_rope=(16, 56, 56),
        ),
        "vae": parts.diffusers_part("AutoencoderKLQwenImage", 126_892_531),
        "scheduler": _SCHEDULER,
    },
    tokenizers={"tokenizer": Tokenizer(kind="qwen2", vocabulary=QWEN_VOCABULARY, length=_LENGTH)},
    height=1328,
    width=1328,
    steps=50,
    factor=16,
)

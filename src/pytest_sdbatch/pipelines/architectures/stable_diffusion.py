"""Stable Diffusion 1.5 and 2.1, SDXL, and both in miniature."""

from __future__ import annotations

import dataclasses
from typing import Any

from pytest_sdbatch.pipelines.architectures import parts
from pytest_sdbatch.pipelines.architectures.entry import Architecture, Component, Config


def _unet(parameters: int, **config: Any) -> Component:
    return parts.diffusers_part("UNet2DConditionModel", parameters, in_channels=4, out_channels=4, **config)


def _scheduler(class_name: str, **config: Any) -> Component:
    # The noise schedule that Stable Diffusion and SDXL were trained with.
    betas: Config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return parts.diffusers_part(class_name, num_train_timesteps=1000, steps_offset=1, **betas, **config)


_SD_BLOCKS: Config = {
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "layers_per_block": 2,
}
_XL_BLOCKS: Config = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "addition_embed_type": "text_time",
    "use_linear_projection": True,
}
_XL_LATENTS: Config = {"scaling_factor": 0.13025, "force_upcast": True}
_NO_CHECKER: Config = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
_NO_WATERMARK: Config = {"add_watermarker": False}

TINY_SD = Architecture(
    name="tiny-sd",
    what=f"Stable Diffusion {parts.TINY}",
    pipeline_class="StableDiffusionPipeline",
    components={
        "text_encoder": parts.TINY_CLIP,
        "unet": _unet(
            53_284,
            sample_size=8,
            block_out_channels=(8, 16),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=32,
            attention_head_dim=2,
            norm_num_groups=8,
        ),
        "vae": parts.vae(53_247, **parts.TINY_VAE),
        "scheduler": _scheduler("DDIMScheduler", clip_sample=False, set_alpha_to_one=False),
    },
    tokenizers={"tokenizer": parts.TINY_CLIP_TOKENIZER},
    arguments=_NO_CHECKER,
    height=64,
    width=64,
    steps=4,
)

TINY_SDXL = Architecture(
    name="tiny-sdxl",
    what=f"SDXL {parts.TINY}",
    pipeline_class="StableDiffusionXLPipeline",
    components={
        "text_encoder": parts.TINY_CLIP,
        "text_encoder_2": parts.TINY_CLIP_PROJECTED,
        "unet": _unet(
            116_732,
            sample_size=8,
            block_out_channels=(8, 8, 16),
            layers_per_block=1,
            cross_attention_dim=64,
            attention_head_dim=(2, 2, 2),
            transformer_layers_per_block=(1, 1, 2),
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=80,
            norm_num_groups=8,
            **_XL_BLOCKS,
        ),
        "vae": parts.vae(53_247, **parts.TINY_VAE, **_XL_LATENTS),
        "scheduler": _scheduler("EulerDiscreteScheduler"),
    },
    tokenizers={"tokenizer": parts.TINY_CLIP_TOKENIZER, "tokenizer_2": parts.TINY_CLIP_TOKENIZER},
    arguments=_NO_WATERMARK,
    height=64,
    width=64,
    steps=4,
)

SD15 = Architecture(
    name="sd15",
    what="Stable Diffusion 1.5",
    pipeline_class="StableDiffusionPipeline",
    components={
        "text_encoder": parts.CLIP_L,
        "unet": _unet(859_520_964, sample_size=64, cross_attention_dim=768, attention_head_dim=8, **_SD_BLOCKS),
        "vae": parts.vae(83_653_863, parts.VAE_CHANNELS, layers_per_block=2, sample_size=512),
        "scheduler": _scheduler("PNDMScheduler", skip_prk_steps=True),
    },
    tokenizers={"tokenizer": parts.CLIP_TOKENIZER},
    arguments=_NO_CHECKER,
    height=512,
    width=512,
)

SD21 = Architecture(
    name="sd21",
    what="Stable Diffusion 2.1 (768)",
    pipeline_class="StableDiffusionPipeline",
    components={
        "text_encoder": parts.clip_text(
            340_387_840,
            hidden_size=1024,
            intermediate_size=4096,
            num_hidden_layers=23,
            num_attention_heads=16,
            hidden_act="gelu",
        ),
        "unet": _unet(
            865_910_724,
            sample_size=96,
            cross_attention_dim=1024,
            attention_head_dim=(5, 10, 20, 20),
            use_linear_projection=True,
            **_SD_BLOCKS,
        ),
        "vae": parts.vae(83_653_863, parts.VAE_CHANNELS, layers_per_block=2, sample_size=768),
        "scheduler": _scheduler(
            "DDIMScheduler", clip_sample=False, set_alpha_to_one=False, prediction_type="v_prediction"
        ),
    },
    tokenizers={"tokenizer": parts.CLIP_TOKENIZER},
    arguments=_NO_CHECKER,
    height=768,
    width=768,
)

SDXL = Architecture(
    name="sdxl",
    what="SDXL 1.0 base",
    pipeline_class="StableDiffusionXLPipeline",
    components={
        "text_encoder": parts.CLIP_L,
        "text_encoder_2": parts.CLIP_BIG_G,
        "unet": _unet(
            2_567_463_684,
            sample_size=128,
            block_out_channels=(320, 640, 1280),
            layers_per_block=2,
            cross_attention_dim=2048,
            attention_head_dim=(5, 10, 20),
            transformer_layers_per_block=(1, 2, 10),
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
            **_XL_BLOCKS,
        ),
        "vae": parts.vae(83_653_863, parts.VAE_CHANNELS, layers_per_block=2, sample_size=1024, **_XL_LATENTS),
        "scheduler": _scheduler("EulerDiscreteScheduler"),
    },
    tokenizers={"tokenizer": parts.CLIP_TOKENIZER, "tokenizer_2": parts.CLIP_TOKENIZER},
    arguments=_NO_WATERMARK,
    height=1024,
    width=1024,
)

SDXL_TURBO = dataclasses.replace(
    SDXL,
    name="sdxl-turbo",
    what="SDXL Turbo: the architecture of sdxl, one step at 512x512, no guidance",
    components={
        **SDXL.components,
        "scheduler": _scheduler("EulerAncestralDiscreteScheduler", timestep_spacing="trailing"),
    },
    height=512,
    width=512,
    steps=1,
    guidance=0.0,
)

"""PixArt-Alpha.

By default its pipeline paints every request at the nearest of the sizes it was trained at and scales the result; only
with ``use_resolution_binning=False`` is the size that was asked for the one that runs.
"""

from __future__ import annotations

from pytest_sdbatch.pipelines.architectures import parts
from pytest_sdbatch.pipelines.architectures.entry import Architecture

_SCHEDULER = parts.diffusers_part("DPMSolverMultistepScheduler", num_train_timesteps=1000)

TINY_PIXART = Architecture(
    name="tiny-pixart",
    what=f"PixArt-Alpha {parts.TINY}",
    pipeline_class="PixArtAlphaPipeline",
    components={
        "text_encoder": parts.TINY_T5,
        "transformer": parts.diffusers_part(
            "PixArtTransformer2DModel",
            32_360,
            sample_size=8,
            patch_size=2,
            in_channels=4,
            out_channels=8,
            num_layers=2,
            attention_head_dim=12,
            num_attention_heads=2,
            cross_attention_dim=24,
            caption_channels=32,
        ),
        "vae": parts.vae(53_247, **parts.TINY_VAE),
        "scheduler": _SCHEDULER,
    },
    tokenizers={"tokenizer": parts.TINY_T5_TOKENIZER},
    height=64,
    width=64,
    steps=4,
    factor=16,
)

PIXART_XL = Architecture(
    name="pixart-xl",
    what="PixArt-Alpha XL/2 (1024)",
    pipeline_class="PixArtAlphaPipeline",
    components={
        "text_encoder": parts.T5_XXL,
        "transformer": parts.diffusers_part(
            "PixArtTransformer2DModel",
            611_349_152,
            sample_size=128,
            patch_size=2,
            in_channels=4,
            out_channels=8,
            num_layers=28,
            attention_head_dim=72,
            num_attention_heads=16,
            cross_attention_dim=1152,
            caption_channels=4096,
        ),
        "vae": parts.vae(83_653_863, parts.VAE_CHANNELS, layers_per_block=2, sample_size=512),
        "scheduler": _SCHEDULER,
    },
    tokenizers={"tokenizer": parts.T5_TOKENIZER},
    height=1024,
    width=1024,
    steps=20,
    factor=16,
)

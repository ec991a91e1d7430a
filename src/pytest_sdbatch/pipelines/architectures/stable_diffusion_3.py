"""Stable Diffusion 3 and 3.5: a transformer that reads two CLIP encoders and a T5."""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.pipelines.architectures import parts
from pytest_sdbatch.pipelines.architectures.entry import Architecture, Component


def _full_size(name: str, what: str, transformer: Component) -> Architecture:
    return Architecture(
        name=name,
        what=what,
        pipeline_class="StableDiffusion3Pipeline",
        components={
            "text_encoder": parts.CLIP_L_PROJECTED,
            "text_encoder_2": parts.CLIP_BIG_G,
            "text_encoder_3": parts.T5_XXL,
            "transformer": transformer,
            "vae": parts.vae16(
                83_819_683,
                parts.VAE_CHANNELS,
                layers_per_block=2,
                sample_size=1024,
                scaling_factor=1.5305,
                shift_factor=0.0609,
            ),
            "scheduler": parts.flow_scheduler(shift=3.0),
        },
        tokenizers={
            "tokenizer": parts.CLIP_TOKENIZER,
            "tokenizer_2": parts.CLIP_TOKENIZER,
            "tokenizer_3": parts.T5_TOKENIZER,
        },
        height=1024,
        width=1024,
        steps=28,
        factor=16,
    )


def _transformer(parameters: int, *, layers: int, positions: int, **config: Any) -> Component:
    fixed = {
        "sample_size": 128,
        "patch_size": 2,
        "in_channels": 16,
        "out_channels": 16,
        "attention_head_dim": 64,
        "joint_attention_dim": 4096,
        "pooled_projection_dim": 2048,
        # As many heads as layers, which sets the width: 64 times that.
        "num_layers": layers,
        "num_attention_heads": layers,
        "caption_projection_dim": 64 * layers,
        "pos_embed_max_size": positions,
    }
    return parts.diffusers_part("SD3Transformer2DModel", parameters, **fixed, **config)


TINY_SD3 = Architecture(
    name="tiny-sd3",
    what=f"Stable Diffusion 3.5 {parts.TINY}",
    pipeline_class="StableDiffusion3Pipeline",
    components={
        "text_encoder": parts.TINY_CLIP_PROJECTED,
        "text_encoder_2": parts.TINY_CLIP_PROJECTED,
        "text_encoder_3": parts.TINY_T5_WIDE,
        "transformer": parts.diffusers_part(
            "SD3Transformer2DModel",
            27_296,
            sample_size=8,
            patch_size=2,
            in_channels=16,
            out_channels=16,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=64,
            caption_projection_dim=16,
            pooled_projection_dim=64,
            pos_embed_max_size=24,
            qk_norm="rms_norm",
            dual_attention_layers=(0,),
        ),
        "vae": parts.vae16(58_363, **parts.TINY_VAE, scaling_factor=1.5305, shift_factor=0.0609),
        "scheduler": parts.flow_scheduler(shift=3.0),
    },
    tokenizers={
        "tokenizer": parts.TINY_CLIP_TOKENIZER,
        "tokenizer_2": parts.TINY_CLIP_TOKENIZER,
        "tokenizer_3": parts.TINY_T5_TOKENIZER,
    },
    height=64,
    width=64,
    steps=4,
    factor=16,
)

SD3_MEDIUM = _full_size(
    "sd3-medium", "Stable Diffusion 3 Medium", _transformer(2_028_328_000, layers=24, positions=192)
)
SD35_MEDIUM = _full_size(
    "sd35-medium",
    "Stable Diffusion 3.5 Medium",
    _transformer(2_243_171_520, layers=24, positions=384, qk_norm="rms_norm", dual_attention_layers=tuple(range(13))),
)
SD35_LARGE = _full_size(
    "sd35-large",
    "Stable Diffusion 3.5 Large",
    _transformer(8_056_627_520, layers=38, positions=192, qk_norm="rms_norm"),
)

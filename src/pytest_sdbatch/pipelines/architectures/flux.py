"""Flux: guidance is an input of the transformer, so its batch is never doubled."""

from __future__ import annotations

from pytest_sdbatch.pipelines.architectures import parts
from pytest_sdbatch.pipelines.architectures.entry import Architecture, Component, Config

_LATENTS: Config = {"scaling_factor": 0.3611, "shift_factor": 0.1159}


def _full_size(
    name: str, what: str, *, parameters: int, guidance_embeds: bool, scheduler: Component, steps: int
) -> Architecture:
    return Architecture(
        name=name,
        what=what,
        pipeline_class="FluxPipeline",
        components={
            "text_encoder": parts.CLIP_L,
            "text_encoder_2": parts.T5_XXL,
            "transformer": parts.diffusers_part(
                "FluxTransformer2DModel",
                parameters,
                patch_size=1,
                in_channels=64,
                num_layers=19,
                num_single_layers=38,
                attention_head_dim=128,
                num_attention_heads=24,
                joint_attention_dim=4096,
                pooled_projection_dim=768,
                guidance_embeds=guidance_embeds,
                axes_dims_rope=(16, 56, 56),
            ),
            "vae": parts.vae16(83_819_683, parts.VAE_CHANNELS, layers_per_block=2, sample_size=1024, **_LATENTS),
            "scheduler": scheduler,
        },
        tokenizers={"tokenizer": parts.CLIP_TOKENIZER, "tokenizer_2": parts.T5_TOKENIZER},
        height=1024,
        width=1024,
        steps=steps,
        factor=16,
    )


_DEV_SCHEDULER = parts.flow_scheduler(shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15)

TINY_FLUX = Architecture(
    name="tiny-flux",
    what=f"Flux {parts.TINY}",
    pipeline_class="FluxPipeline",
    components={
        "text_encoder": parts.TINY_CLIP,
        "text_encoder_2": parts.TINY_T5,
        "transformer": parts.diffusers_part(
            "FluxTransformer2DModel",
            97_408,
            patch_size=1,
            in_channels=64,
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            guidance_embeds=True,
            axes_dims_rope=(4, 6, 6),
        ),
        "vae": parts.vae16(58_363, **parts.TINY_VAE, **_LATENTS),
        "scheduler": _DEV_SCHEDULER,
    },
    tokenizers={"tokenizer": parts.TINY_CLIP_TOKENIZER, "tokenizer_2": parts.TINY_T5_TOKENIZER},
    height=64,
    width=64,
    steps=4,
    factor=16,
)

FLUX_DEV = _full_size(
    "flux-dev",
    "Flux.1 [dev]",
    parameters=11_901_408_320,
    guidance_embeds=True,
    scheduler=_DEV_SCHEDULER,
    steps=28,
)
FLUX_SCHNELL = _full_size(
    "flux-schnell",
    "Flux.1 [schnell]: four steps, no guidance",
    parameters=11_891_178_560,
    guidance_embeds=False,
    scheduler=parts.flow_scheduler(shift=1.0),
    steps=4,
)

"""Wan 2.1, text to video: under guidance its transformer is called twice a step instead of with a doubled batch."""

from __future__ import annotations

from pytest_sdbatch.pipelines.architectures import parts
from pytest_sdbatch.pipelines.architectures.entry import Architecture

_SCHEDULER = parts.diffusers_part(
    "UniPCMultistepScheduler",
    num_train_timesteps=1000,
    prediction_type="flow_prediction",
    use_flow_sigmas=True,
    flow_shift=3.0,  # what the authors advise for 480 lines
)


def _full_size(name: str, what: str, *, parameters: int, layers: int, heads: int, ffn_dim: int) -> Architecture:
    return Architecture(
        name=name,
        what=what,
        pipeline_class="WanPipeline",
        components={
            "text_encoder": parts.UMT5_XXL,
            "transformer": parts.diffusers_part(
                "WanTransformer3DModel",
                parameters,
                patch_size=(1, 2, 2),
                num_attention_heads=heads,
                attention_head_dim=128,
                in_channels=16,
                out_channels=16,
                text_dim=4096,
                freq_dim=256,
                ffn_dim=ffn_dim,
                num_layers=layers,
            ),
            "vae": parts.diffusers_part("AutoencoderKLWan", 126_892_531),
            "scheduler": _SCHEDULER,
        },
        tokenizers={"tokenizer": parts.UMT5_TOKENIZER},
        height=480,
        width=832,
        frames=81,
        frames_factor=4,
        steps=50,
        factor=16,
    )


TINY_WAN = Architecture(
    name="tiny-wan",
    what=f"Wan 2.1 {parts.TINY}",
    pipeline_class="WanPipeline",
    components={
        "text_encoder": parts.TINY_UMT5,
        "transformer": parts.diffusers_part(
            "WanTransformer3DModel",
            26_088,
            patch_size=(1, 2, 2),
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=16,
            out_channels=16,
            text_dim=32,
            freq_dim=32,
            ffn_dim=64,
            num_layers=2,
            rope_max_seq_len=32,
        ),
        "vae": parts.diffusers_part("AutoencoderKLWan", 21_819, base_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
        "scheduler": _SCHEDULER,
    },
    tokenizers={"tokenizer": parts.TINY_T5_TOKENIZER},
    height=64,
    width=64,
    frames=5,
    frames_factor=4,
    steps=4,
    factor=16,
)

WAN21_1_3B = _full_size(
    "wan21-1.3b", "Wan 2.1 text to video, 1.3B", parameters=1_418_996_800, layers=30, heads=12, ffn_dim=8960
)
WAN21_14B = _full_size(
    "wan21-14b", "Wan 2.1 text to video, 14B", parameters=14_288_491_584, layers=40, heads=40, ffn_dim=13_824
)

"""The architectures that ship with the package: pure data, in the words of diffusers and transformers.

Time and memory of a pipeline follow from its architecture, not from trained values, so an entry holds configurations
and no weights. The parameter counts stand here so that nothing needs torch to print them; a test derives them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Config = Mapping[str, Any]

# The vocabulary of every CLIP model: with its own ids, so that trained text encoders read our tokenizer's output.
CLIP_VOCABULARY = 49_408
CLIP_START_ID, CLIP_END_ID = 49_406, 49_407
TINY_VOCABULARY = 190  # two forms of each of the 94 printable characters, and the two marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One part of a pipeline: the class that makes it and its configuration."""

    library: str  # "diffusers" or "transformers"
    class_name: str
    config: Config
    parameters: int = 0  # 0 for parts without weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A pipeline that can be built by name, with random weights."""

    name: str
    what: str
    pipeline_class: str
    components: Mapping[str, Component]  # in the order in which they are built
    tokenizers: Mapping[str, int]  # component name -> size of the vocabulary
    arguments: Config = field(default_factory=dict)  # of the pipeline's constructor, besides the components
    height: int  # native, in pixels
    width: int
    steps: int = 20
    factor: int = 8  # the pipelines refuse other multiples, whatever their VAE could do

    @property
    def parameters(self) -> int:
        """Parameters of all components."""
        return sum(component.parameters for component in self.components.values())


def _clip_text(
    parameters: int, class_name: str = "CLIPTextModel", *, vocabulary: int = CLIP_VOCABULARY, **config: object
) -> Component:
    start, end = (CLIP_START_ID, CLIP_END_ID) if vocabulary == CLIP_VOCABULARY else (vocabulary - 2, vocabulary - 1)
    marks = {"bos_token_id": start, "eos_token_id": end, "pad_token_id": end}
    fixed = {"vocab_size": vocabulary, "max_position_embeddings": 77, **marks}
    return Component(library="transformers", class_name=class_name, config={**fixed, **config}, parameters=parameters)


def _unet(parameters: int, **config: object) -> Component:
    channels = {"in_channels": 4, "out_channels": 4}
    return Component(
        library="diffusers",
        class_name="UNet2DConditionModel",
        config={**channels, **config},
        parameters=parameters,
    )


def _vae(parameters: int, channels: tuple[int, ...], **config: object) -> Component:
    blocks = {
        "block_out_channels": channels,
        "down_block_types": ("DownEncoderBlock2D",) * len(channels),
        "up_block_types": ("UpDecoderBlock2D",) * len(channels),
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 4,
    }
    return Component(
        library="diffusers", class_name="AutoencoderKL", config={**blocks, **config}, parameters=parameters
    )


def _scheduler(class_name: str, **config: object) -> Component:
    # The noise schedule that Stable Diffusion and SDXL were trained with.
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    fixed = {"num_train_timesteps": 1000, "steps_offset": 1, **betas}
    return Component(library="diffusers", class_name=class_name, config={**fixed, **config})


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
_TINY_CLIP: Config = {
    "vocabulary": TINY_VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
_CLIP_L: Config = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "quick_gelu",
}
_SD_VAE_CHANNELS = (128, 256, 512, 512)
_TINY_VAE_CHANNELS = (8, 8, 8, 16)
_NO_CHECKER: Config = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
_NO_WATERMARK: Config = {"add_watermarker": False}

_TINY_SD = Architecture(
    name="tiny-sd",
    what="Stable Diffusion in miniature, for tests; says nothing about a real model",
    pipeline_class="StableDiffusionPipeline",
    components={
        "text_encoder": _clip_text(25_696, **_TINY_CLIP),
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
        "vae": _vae(53_247, _TINY_VAE_CHANNELS, layers_per_block=1, sample_size=64, norm_num_groups=8),
        "scheduler": _scheduler("DDIMScheduler", clip_sample=False, set_alpha_to_one=False),
    },
    tokenizers={"tokenizer": TINY_VOCABULARY},
    arguments=_NO_CHECKER,
    height=64,
    width=64,
    steps=4,
)

_TINY_SDXL = Architecture(
    name="tiny-sdxl",
    what="SDXL in miniature, for tests; says nothing about a real model",
    pipeline_class="StableDiffusionXLPipeline",
    components={
        "text_encoder": _clip_text(25_696, **_TINY_CLIP),
        "text_encoder_2": _clip_text(26_720, "CLIPTextModelWithProjection", projection_dim=32, **_TINY_CLIP),
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
        "vae": _vae(
            53_247,
            _TINY_VAE_CHANNELS,
            layers_per_block=1,
            sample_size=64,
            norm_num_groups=8,
            scaling_factor=0.13025,
            force_upcast=True,
        ),
        "scheduler": _scheduler("EulerDiscreteScheduler"),
    },
    tokenizers={"tokenizer": TINY_VOCABULARY, "tokenizer_2": TINY_VOCABULARY},
    arguments=_NO_WATERMARK,
    height=64,
    width=64,
    steps=4,
)

_SD15 = Architecture(
    name="sd15",
    what="Stable Diffusion 1.5",
    pipeline_class="StableDiffusionPipeline",
    components={
        "text_encoder": _clip_text(123_060_480, **_CLIP_L),
        "unet": _unet(859_520_964, sample_size=64, cross_attention_dim=768, attention_head_dim=8, **_SD_BLOCKS),
        "vae": _vae(83_653_863, _SD_VAE_CHANNELS, layers_per_block=2, sample_size=512),
        "scheduler": _scheduler("PNDMScheduler", skip_prk_steps=True),
    },
    tokenizers={"tokenizer": CLIP_VOCABULARY},
    arguments=_NO_CHECKER,
    height=512,
    width=512,
)

_SD21 = Architecture(
    name="sd21",
    what="Stable Diffusion 2.1 (768)",
    pipeline_class="StableDiffusionPipeline",
    components={
        "text_encoder": _clip_text(
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
        "vae": _vae(83_653_863, _SD_VAE_CHANNELS, layers_per_block=2, sample_size=768),
        "scheduler": _scheduler(
            "DDIMScheduler", clip_sample=False, set_alpha_to_one=False, prediction_type="v_prediction"
        ),
    },
    tokenizers={"tokenizer": CLIP_VOCABULARY},
    arguments=_NO_CHECKER,
    height=768,
    width=768,
)

_SDXL = Architecture(
    name="sdxl",
    what="SDXL 1.0 base; sdxl-turbo has the same architecture",
    pipeline_class="StableDiffusionXLPipeline",
    components={
        "text_encoder": _clip_text(123_060_480, **_CLIP_L),
        "text_encoder_2": _clip_text(
            694_659_840,
            "CLIPTextModelWithProjection",
            hidden_size=1280,
            intermediate_size=5120,
            num_hidden_layers=32,
            num_attention_heads=20,
            projection_dim=1280,
            hidden_act="gelu",
        ),
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
        "vae": _vae(
            83_653_863,
            _SD_VAE_CHANNELS,
            layers_per_block=2,
            sample_size=1024,
            scaling_factor=0.13025,
            force_upcast=True,
        ),
        "scheduler": _scheduler("EulerDiscreteScheduler"),
    },
    tokenizers={"tokenizer": CLIP_VOCABULARY, "tokenizer_2": CLIP_VOCABULARY},
    arguments=_NO_WATERMARK,
    height=1024,
    width=1024,
)

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {entry.name: entry for entry in (_TINY_SD, _TINY_SDXL, _SD15, _SD21, _SDXL)}
)

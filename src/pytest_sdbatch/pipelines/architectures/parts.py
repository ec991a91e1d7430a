"""Text encoders, VAEs and schedulers that several families share."""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.pipelines.architectures.entry import Component, Config, Tokenizer

# The vocabulary of every CLIP model: with its own ids, so that trained text encoders read our tokenizer's output.
CLIP_VOCABULARY = 49_408
CLIP_START_ID, CLIP_END_ID = 49_406, 49_407
CLIP_LENGTH = 77
TINY_CLIP_VOCABULARY = 190  # two forms of each of the 94 printable characters, and the two marks
T5_PAD_ID, T5_END_ID, T5_UNKNOWN_ID = 0, 1, 2
T5_LENGTH = 512
TINY_T5_VOCABULARY = 98  # the three marks, the space and the 94 printable characters

TINY = "in miniature, for tests; says nothing about a real model"


def diffusers_part(class_name: str, parameters: int = 0, **config: Any) -> Component:
    """Return a component that diffusers makes."""
    return Component(library="diffusers", class_name=class_name, config=config, parameters=parameters)


def clip_text(
    parameters: int, class_name: str = "CLIPTextModel", *, vocabulary: int = CLIP_VOCABULARY, **config: Any
) -> Component:
    """Return a text encoder of CLIP's kind; it pools at the end mark, so the ids are those of our tokenizer."""
    start, end = (CLIP_START_ID, CLIP_END_ID) if vocabulary == CLIP_VOCABULARY else (vocabulary - 2, vocabulary - 1)
    marks = {"bos_token_id": start, "eos_token_id": end, "pad_token_id": end}
    fixed = {"vocab_size": vocabulary, "max_position_embeddings": CLIP_LENGTH, **marks}
    return Component(library="transformers", class_name=class_name, config={**fixed, **config}, parameters=parameters)


def t5_text(parameters: int, class_name: str = "T5EncoderModel", **config: Any) -> Component:
    """Return the encoder of a T5 of version 1.1, or of a UMT5."""
    marks = {"pad_token_id": T5_PAD_ID, "eos_token_id": T5_END_ID}
    fixed = {"d_kv": 64, "feed_forward_proj": "gated-gelu", "is_encoder_decoder": False, "use_cache": False, **marks}
    return Component(library="transformers", class_name=class_name, config={**fixed, **config}, parameters=parameters)


def vae(parameters: int, channels: tuple[int, ...], **config: Any) -> Component:
    """Return an image VAE with one block per entry of *channels*; each but the last halves both sides."""
    blocks = {
        "block_out_channels": channels,
        "down_block_types": ("DownEncoderBlock2D",) * len(channels),
        "up_block_types": ("UpDecoderBlock2D",) * len(channels),
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 4,
    }
    return diffusers_part("AutoencoderKL", parameters, **{**blocks, **config})


def vae16(parameters: int, channels: tuple[int, ...], **config: Any) -> Component:
    """Return the image VAE of SD3 and Flux: 16 latent channels, no quantization convolutions."""
    fixed = {"latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False}
    return vae(parameters, channels, **{**fixed, **config})


def flow_scheduler(**config: Any) -> Component:
    """Return the scheduler of the families trained by flow matching."""
    return diffusers_part("FlowMatchEulerDiscreteScheduler", num_train_timesteps=1000, **config)


_CLIP_L: Config = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "quick_gelu",
}
_CLIP_BIG_G: Config = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}
_TINY_CLIP: Config = {
    "vocabulary": TINY_CLIP_VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
_XXL: Config = {"d_model": 4096, "d_ff": 10_240, "num_layers": 24, "num_heads": 64}
_TINY_T5: Config = {"vocab_size": TINY_T5_VOCABULARY, "d_ff": 64, "num_layers": 2, "num_heads": 4, "d_kv": 8}

CLIP_L = clip_text(123_060_480, **_CLIP_L)
CLIP_L_PROJECTED = clip_text(123_650_304, "CLIPTextModelWithProjection", projection_dim=768, **_CLIP_L)
CLIP_BIG_G = clip_text(694_659_840, "CLIPTextModelWithProjection", **_CLIP_BIG_G)
TINY_CLIP = clip_text(25_696, **_TINY_CLIP)
TINY_CLIP_PROJECTED = clip_text(26_720, "CLIPTextModelWithProjection", projection_dim=32, **_TINY_CLIP)
T5_XXL = t5_text(4_762_310_656, vocab_size=32_128, **_XXL)
UMT5_XXL = t5_text(5_680_910_336, "UMT5EncoderModel", vocab_size=256_384, **_XXL)
TINY_T5 = t5_text(23_904, d_model=32, **_TINY_T5)
TINY_T5_WIDE = t5_text(47_680, d_model=64, **_TINY_T5)
TINY_UMT5 = t5_text(24_032, "UMT5EncoderModel", d_model=32, **_TINY_T5)

CLIP_TOKENIZER = Tokenizer(kind="clip", vocabulary=CLIP_VOCABULARY, length=CLIP_LENGTH)
TINY_CLIP_TOKENIZER = Tokenizer(kind="clip", vocabulary=TINY_CLIP_VOCABULARY, length=CLIP_LENGTH)
T5_TOKENIZER = Tokenizer(kind="t5", vocabulary=32_128, length=T5_LENGTH)
UMT5_TOKENIZER = Tokenizer(kind="t5", vocabulary=256_384, length=T5_LENGTH)
TINY_T5_TOKENIZER = Tokenizer(kind="t5", vocabulary=TINY_T5_VOCABULARY, length=T5_LENGTH)

VAE_CHANNELS = (128, 256, 512, 512)
TINY_VAE: Config = {"channels": (8, 8, 8, 16), "layers_per_block": 1, "sample_size": 64, "norm_num_groups": 8}

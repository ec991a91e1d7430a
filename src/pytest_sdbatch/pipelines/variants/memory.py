"""Variants of layout and of the VAE: the same work in another order, or in smaller parts."""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.pipelines.variants.entry import DENOISERS, denoisers, lacks, part


def channels_last(pipeline: Any) -> None:
    """Put the weights of convolutions of denoiser and VAE into channels-last order, in two and three dimensions."""
    import torch

    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    parts = [getattr(pipeline, name, None) for name in (*DENOISERS, "vae")]
    weights = [
        weight for found in parts if found is not None for weight in found.parameters() if weight.ndim in formats
    ]
    if not weights:
        raise lacks(pipeline, "channels-last", "neither its denoiser nor its VAE holds a convolution")
    for weight in weights:
        # One by one: module.to(memory_format=) refuses a module that holds both kinds.
        weight.data = weight.data.contiguous(memory_format=formats[weight.ndim])


def vae_slicing(pipeline: Any) -> None:
    """Let the VAE decode one image at a time."""
    part(pipeline, "vae", variant="vae-slicing", method="enable_slicing").enable_slicing()


def vae_tiling(pipeline: Any) -> None:
    """Let the VAE decode large images in tiles."""
    part(pipeline, "vae", variant="vae-tiling", method="enable_tiling").enable_tiling()


def attention_slicing(pipeline: Any) -> None:
    """Compute attention for some heads at a time."""
    for denoiser in denoisers(pipeline, variant="attention-slicing", method="set_attention_slice"):
        denoiser.set_attention_slice("auto")

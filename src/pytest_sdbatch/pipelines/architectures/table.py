"""Every entry by name, the tiny ones first."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytest_sdbatch.pipelines.architectures import flux, pixart, qwen_image, stable_diffusion, stable_diffusion_3, wan
from pytest_sdbatch.pipelines.architectures.entry import Architecture

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            stable_diffusion.TINY_SD,
            stable_diffusion.TINY_SDXL,
            stable_diffusion_3.TINY_SD3,
            flux.TINY_FLUX,
            pixart.TINY_PIXART,
            wan.TINY_WAN,
            qwen_image.TINY_QWEN_IMAGE,
            stable_diffusion.SD15,
            stable_diffusion.SD21,
            stable_diffusion.SDXL,
            stable_diffusion.SDXL_TURBO,
            stable_diffusion_3.SD3_MEDIUM,
            stable_diffusion_3.SD35_MEDIUM,
            stable_diffusion_3.SD35_LARGE,
            flux.FLUX_DEV,
            flux.FLUX_SCHNELL,
            pixart.PIXART_XL,
            wan.WAN21_1_3B,
            wan.WAN21_14B,
            qwen_image.QWEN_IMAGE,
        )
    }
)

"""Residual caches: they leave out work where little changes from one step to the next."""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.pipelines.variants.entry import Variant, denoisers

FIRST_BLOCK = "cache:first-block"


def first_block(pipeline: Any) -> None:
    """Skip the blocks after the first where its output is close to that of the step before, as diffusers sets it."""
    from diffusers import FirstBlockCacheConfig

    for denoiser in denoisers(pipeline, variant=FIRST_BLOCK, method="enable_cache"):
        denoiser.enable_cache(FirstBlockCacheConfig())


VARIANTS = (
    Variant(
        name=FIRST_BLOCK,
        what="blocks left out where the first changes little (FirstBlockCache); trained weights only",
        apply=first_block,
        trained_only="a residual cache leaves out work depending on values, and random ones say nothing of trained",
    ),
)

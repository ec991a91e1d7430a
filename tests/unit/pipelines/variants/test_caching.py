"""Residual caches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.pipelines.variants import apply


def test_a_cache_is_enabled_on_a_denoiser_that_can(tiny: Callable[..., Any], images: Callable[..., Any]) -> None:
    """The pipeline runs with it, and diffusers says it is on."""
    pipeline = tiny("tiny-flux")

    apply(pipeline, "cache:first-block", device="cpu")

    assert pipeline.transformer.is_cache_enabled
    assert images(pipeline, side=64).isfinite().all()


def test_a_unet_has_no_such_cache(tiny: Callable[..., Any]) -> None:
    """The error names the method that is missing."""
    with pytest.raises(ModelError, match="cache:first-block cannot be applied") as error:
        apply(tiny(), "cache:first-block", device="cpu")

    assert "enable_cache" in error.value.why

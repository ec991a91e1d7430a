"""Tiny pipelines, and what they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Any]:
    """Return the tiny pipeline of a name, the same each time."""
    return lambda name="tiny-sd": build(ARCHITECTURES[name], device="cpu", dtype="fp32", seed=0)


@pytest.fixture(scope="session")
def images() -> Callable[..., Any]:
    """Return seeded images, or videos, of a pipeline; tiny-sd's of 80x80 are larger than a tile of its VAE."""
    import torch

    def make(pipeline: Any, *, size: int = 2, side: int | None = None) -> Any:
        arguments = {} if side is None else {"height": side, "width": side}
        made = pipeline(
            prompt=["a cat"] * size,
            num_inference_steps=2,
            output_type="pt",
            generator=[torch.Generator().manual_seed(seed) for seed in range(size)],
            **arguments,
        )
        return getattr(made, "images", None) if hasattr(made, "images") else made.frames

    return make

"""The main job of this repository, written as a user would write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from pytest_sdbatch import SdBenchmark


def test_text_to_image(sd_benchmark: SdBenchmark, sd_pipeline: DiffusionPipeline) -> None:
    """Every image of the last round comes back."""
    images = sd_benchmark(sd_pipeline)

    assert sum(len(batch) for batch in images) == sd_benchmark.case.images

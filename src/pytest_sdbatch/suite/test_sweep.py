"""A sweep over the grid that the options describe, with the model they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from pytest_sdbatch import SdBenchmark


def test_generation(sd_benchmark: SdBenchmark, sd_pipeline: DiffusionPipeline) -> None:
    """Every case of the grid is measured."""
    sd_benchmark(sd_pipeline)

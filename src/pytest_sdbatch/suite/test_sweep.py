"""A sweep over the grid that the options describe, with the model they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from pytest_sdbatch import SdBenchmark


# NumPy says this to diffusers' Euler schedulers; whoever measures a model can do nothing about it.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_generation(sd_benchmark: SdBenchmark, sd_pipeline: DiffusionPipeline) -> None:
    """Every case of the grid is measured."""
    sd_benchmark(sd_pipeline)

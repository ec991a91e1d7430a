"""Training steps over the grid that the options describe: ``sdbatch sweep --train``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_sdbatch import SdTraining


# NumPy says this to diffusers' schedulers; whoever measures a model can do nothing about it.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_training(sd_training: SdTraining) -> None:
    """Every case of the grid is measured."""
    sd_training()

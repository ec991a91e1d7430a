"""What a step of training costs, written as a user would write it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_sdbatch import SdTraining


# NumPy says this to diffusers' schedulers.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_lora_step(sd_training: SdTraining) -> None:
    """The loss of every step of the last round comes back, and is a number."""
    losses = sd_training()

    assert all(math.isfinite(float(loss)) for loss in losses)

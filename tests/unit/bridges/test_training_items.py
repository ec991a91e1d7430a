"""Which tests train the model of the grid is read from their text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_sdbatch.bridges.training_items import calls_without_step


def of_the_grid(sd_training: Any) -> None:
    """Train the model."""
    sd_training()


def of_its_own(sd_training: Any) -> None:
    """Train something."""
    sd_training(print, batches=[1])


def of_its_own_by_name(sd_training: Any) -> None:
    """Train something."""
    sd_training(step=print)


def hidden(sd_training: Any) -> None:
    """Call it elsewhere."""
    of_the_grid(sd_training)


@pytest.mark.parametrize(
    ("function", "expected"),
    [(of_the_grid, True), (of_its_own, False), (of_its_own_by_name, False), (hidden, False), (print, False)],
)
def test_a_call_without_a_step_is_seen(function: Callable[..., Any], expected: bool) -> None:
    """Anything else is taken for a step of the test's own, which says what is missing when it is called."""
    assert calls_without_step(function) is expected

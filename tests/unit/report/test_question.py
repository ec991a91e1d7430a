"""What options ask of the splits."""

from __future__ import annotations

import pytest

from pytest_sdbatch.analysis.splits import Objective
from pytest_sdbatch.options import resolve
from pytest_sdbatch.records import Environment
from pytest_sdbatch.report.question import question_of
from pytest_sdbatch.report.splits import Question


def nowhere() -> Environment:
    """Stand for a place that is not asked for."""
    pytest.fail("the device was asked who it is, though no price depends on it")


def asked(ini: dict[str, str] | None = None, **typed: str) -> Question:
    """Return the question of a command line and a configuration file."""
    return question_of(resolve(command_line=typed, ini=ini or {}, overrides={}), nowhere)


def test_every_option_that_asks_is_heard() -> None:
    """The number of images, what is best, where it starts, how close is close enough."""
    found = asked(images="16", objective="cost", start="cold", sweet_spot="10%")

    assert (found.images, found.objective, found.cold, found.within) == (16, Objective.COST, True, 0.1)


def test_a_sweep_asks_for_no_number_of_images() -> None:
    """Nobody opens a device to know that nothing was asked."""
    assert asked() == Question()


@pytest.mark.parametrize(
    ("ini", "typed", "images"),
    [
        ({"images": "16"}, {}, 16),
        ({"images": "16"}, {"batch_sizes": "1,4"}, None),
        ({"images": "16"}, {"batch_counts": "2"}, None),
        ({"batch_sizes": "1,4"}, {"images": "16"}, 16),
        ({}, {"images": "16", "batch_sizes": "1,4"}, 16),
    ],
)
def test_axes_that_are_typed_set_images_of_a_file_aside(
    ini: dict[str, str], typed: dict[str, str], images: int | None
) -> None:
    """Then the sizes are swept, and the file's number is not what was asked; of one origin they go together."""
    assert asked(ini, **typed).images == images


@pytest.mark.parametrize(("name", "price"), [("NVIDIA L4", 0.0001), ("NVIDIA A10", None), (None, None)])
def test_a_price_is_that_of_the_device(name: str | None, price: float | None) -> None:
    """A device without a name, or of another one, has none."""
    options = resolve(command_line={"price": "L4:0.36/h"}, ini={}, overrides={})
    where = Environment(must_match={"device_name": name}, drift={}, shown={})

    found = question_of(options, lambda: where).price_per_s

    assert found == (None if price is None else pytest.approx(price))

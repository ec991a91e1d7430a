"""The architectures that ship: their sizes, and that they need no torch to be listed."""

from __future__ import annotations

import pytest

from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import count_parameters

# From the published models; see docs of each model, and the architectures' own configurations.
PUBLISHED = {
    "sd15": {"unet": 859_520_964, "text_encoder": 123_060_480, "vae": 83_653_863},
    "sd21": {"unet": 865_910_724, "text_encoder": 340_387_840, "vae": 83_653_863},
    "sdxl": {
        "unet": 2_567_463_684,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
        "vae": 83_653_863,
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_full_size_models_have_the_published_number_of_parameters(name: str) -> None:
    """Each component has, to the parameter, the size of the model it is named after."""
    assert count_parameters(ARCHITECTURES[name]) == PUBLISHED[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_counts_that_are_shown_are_those_of_the_modules(name: str) -> None:
    """`sdbatch models` prints constants, which are what the classes really build."""
    entry = ARCHITECTURES[name]

    counted = count_parameters(entry)

    assert {n: c.parameters for n, c in entry.components.items() if c.parameters} == counted
    assert entry.parameters == sum(counted.values())


@pytest.mark.parametrize("name", ["tiny-sd", "tiny-sdxl"])
def test_tiny_models_are_tiny(name: str) -> None:
    """Tests can afford them: 70 to 230 thousand parameters, 64x64, four steps."""
    entry = ARCHITECTURES[name]

    assert 70_000 <= entry.parameters <= 230_000
    assert (entry.height, entry.width, entry.steps) == (64, 64, 4)

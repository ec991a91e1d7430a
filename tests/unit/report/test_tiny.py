"""Which models are for trying the tool."""

from __future__ import annotations

import pytest

from pytest_sdbatch.report.tiny import is_tiny


@pytest.mark.parametrize(
    ("model", "tiny"),
    [
        ("tiny-sd", True),
        ("./models/tiny-sd/", True),
        ("C:\\models\\tiny-sd", True),
        ("org/tiny-stable-diffusion", True),
        ("sd15", False),
        ("tiny-org/sd15", False),
        ("destiny-xl", False),
        (None, False),
    ],
)
def test_tiny_goes_by_the_last_part_of_the_name(model: str | None, tiny: bool) -> None:
    """A catalog name, a folder and a hub id are judged alike."""
    assert is_tiny(model) is tiny

"""How much was made in a second, in words."""

from __future__ import annotations

from pytest_sdbatch import units
from pytest_sdbatch.nouns import GENERATION, Nouns


def throughput(images_per_s: float, frames: int | None, nouns: Nouns = GENERATION) -> str:
    """Return images per second, or for videos of so many *frames* the frames per second, with the unit."""
    if frames is not None:
        return units.rate(images_per_s * frames, "frames")
    return units.rate(images_per_s, nouns.images)

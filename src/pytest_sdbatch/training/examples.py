"""What a training step is fed: images and captions, of a folder or made up, and their encodings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_sdbatch.grid.plan_training import Epoch
from pytest_sdbatch.training.families import Family, encode_images
from pytest_sdbatch.training.images import ImageFolder, read_images

_MOST_HELD = 8  # images that are read, and shown in turn: a step takes as long on any


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where examples come from."""

    captions: tuple[str, ...]  # used in turn
    folder: ImageFolder | None = None  # None: made-up images
    images: int | None = None  # in the data; None: not known
    repeats: int = 1
    name: str = "made up"  # in records

    def pixels(self, count: int, *, height: int, width: int, seed: int) -> Any:
        """Return the first *count* images, from -1 to 1."""
        import torch

        if self.folder is not None:
            return read_images(self.folder.paths[:count], height=height, width=width)
        generator = torch.Generator("cpu").manual_seed(seed)
        return torch.rand((count, 3, height, width), generator=generator) * 2.0 - 1.0

    @property
    def epoch(self) -> Epoch:
        """What an epoch shows, as the grid needs it."""
        return Epoch(images=self.images, repeats=self.repeats)

    @property
    def held(self) -> int:
        """How many images are read."""
        return _MOST_HELD if self.images is None else min(self.images, _MOST_HELD)


def source_of(folder: ImageFolder | None, prompts: Sequence[str], *, images: int | None, repeats: int) -> Source:
    """Return the examples of *folder*, with the captions beside its images; without a folder made-up images."""
    if folder is None:
        return Source(captions=tuple(prompts), images=images, repeats=repeats)
    written = folder.captions()
    captions = tuple(own or prompts[index % len(prompts)] for index, own in enumerate(written))
    return Source(
        captions=captions,
        folder=folder,
        images=len(folder.paths),
        repeats=repeats,
        name=f"{folder.name} ({len(folder.paths)} images)",
    )


def encode(pipeline: Any, family: Family, pixels: Any, captions: list[str], *, dtype: Any) -> dict[str, Any]:
    """Return the examples that the loss of *family* takes: latents, text embeddings, sizes; a row an image."""
    import torch

    height, width = pixels.shape[-2:]
    with torch.no_grad():
        found = {"latents": encode_images(pipeline, pixels), **family.encode_text(pipeline, captions)}
        device = found["latents"].device
        found["size"] = torch.tensor([[height, width]], device=device).expand(len(pixels), 2)
        return {
            name: tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else tensor.dtype)
            for name, tensor in found.items()
        }

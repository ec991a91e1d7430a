"""A folder of a user's own images, as data to learn from. Sub-folders, where there are some, are classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.training.datasets import HELD_OUT, LearningData, split_data

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
FEWEST = 20
_DIVISOR = 4  # the network halves a side once, and its norms want some pixels


def folder_data(folder: Path, *, side: int | None = None) -> LearningData:
    """Return the images of *folder*, a fifth of them held out.

    Args:
        folder: of images, or of folders of images, one a class.
        side: pixels to which all are cropped and scaled; None: they are square and of one size already.

    Raises:
        OptionError: for a folder that is missing, holds fewer than 20 images, one that cannot be read, or images of
            several sizes; names the file.

    """
    import torch

    paths = _paths(folder)
    names = tuple(sorted({path.parent.relative_to(folder).as_posix() for path in paths}))
    read: list[Any] = []
    first: tuple[Path, tuple[int, int]] | None = None
    for path in paths:
        image, size = _read(path, side)
        first = first or (path, size)
        if size != first[1]:
            raise OptionError(
                f"the images differ in size: {first[0].name} is {_shown(first[1])}, {path.name} is {_shown(size)}",
                why="a batch is of one size",
                fix="give the size that all are cropped and scaled to, such as --resolution=32",
            )
        read.append(image)
    images = torch.stack(read).permute(0, 3, 1, 2).float() / 127.5 - 1
    if bool((images[:, :1] == images).all()):
        images = images[:, :1]
    if images.shape[-1] != images.shape[-2] or images.shape[-1] % _DIVISOR:
        raise OptionError(
            f"the images are {_shown((images.shape[-1], images.shape[-2]))}",
            why=f"the network learns square ones, of a side that {_DIVISOR} divides",
            fix="give the size that all are cropped and scaled to, such as --resolution=32",
        )
    labels = torch.tensor([names.index(path.parent.relative_to(folder).as_posix()) for path in paths])
    return split_data(folder.resolve().name, images, labels, class_names=names)


def _paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise OptionError(f"no such folder: {folder}", fix="name a folder of images")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if len(paths) < FEWEST:
        found = "no image" if not paths else f"{len(paths)} image{'s' if len(paths) > 1 else ''}"
        raise OptionError(
            f"{folder} holds {found}",
            why=f"one in {HELD_OUT} is held out, and {FEWEST} are the fewest that say anything; "
            f"images end in {', '.join(SUFFIXES)}",
        )
    return paths


def _read(path: Path, side: int | None) -> tuple[Any, tuple[int, int]]:
    import torch
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise OptionError(
            f"{path} cannot be read as an image", why=str(error), fix="mend or remove it: nothing was trained"
        ) from None
    if side is not None:
        image = ImageOps.fit(image, (side, side))
    flat = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return flat.view(image.height, image.width, 3), (image.width, image.height)


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"

"""A folder of images to train on: looked at whole before anything is measured, read when it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_sdbatch.errors import OptionError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """Images of one size, and their captions."""

    paths: tuple[Path, ...]  # sorted
    height: int  # of each of them, pixels
    width: int

    def captions(self) -> tuple[str, ...]:
        """Return the text beside each image (``cat.txt`` of ``cat.png``); empty where there is none."""
        return tuple(_caption(path) for path in self.paths)


def look_at(folder: Path, *, spelled: str) -> ImageFolder:
    """Return the images of *folder*, each of which was read once.

    Args:
        folder: whose images are those in it, not those in folders within.
        spelled: the option that named it, for messages.

    Raises:
        OptionError: for a folder that is not there or has no image, an image that cannot be read, and images of
            several sizes.

    """
    if not folder.is_dir():
        raise OptionError(f"{spelled}: {str(folder)!r} is no folder", fix="name a folder of images")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not paths:
        raise OptionError(
            f"{spelled}: {str(folder)!r} holds no image",
            why=f"none of its files ends in {', '.join(_SUFFIXES)}",
            fix="name a folder that has images in itself, not in folders within",
        )
    first = (0, 0)
    for path in paths:
        size = _size_of(path, spelled=spelled)
        if path == paths[0]:
            first = size
        if size != first:
            raise OptionError(
                f"{spelled}: its images are of several sizes: {paths[0].name} is {_shown(first)}, "
                f"{path.name} {_shown(size)} (height x width)",
                why="the examples of a batch have one size",
                fix="resize or crop them, or give each size a folder and a run of its own",
            )
    return ImageFolder(paths=tuple(paths), height=first[0], width=first[1])


def read_images(paths: Sequence[Path], *, height: int, width: int) -> Any:
    """Return a float tensor (images, 3, *height*, *width*) from -1 to 1; images of another size are resized."""
    import torch
    from PIL import Image

    made = []
    for path in paths:
        with Image.open(path) as image:
            picture = image.convert("RGB")
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(height, width, 3)
        made.append(pixels.permute(2, 0, 1).float() / 127.5 - 1.0)
    return torch.stack(made)


def _size_of(path: Path, *, spelled: str) -> tuple[int, int]:
    """Return (height, width) of an image that was read to its end: a cut file has a good header."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            size = image.size
            image.draft(
                "L", (max(size[0] // 8, 1), max(size[1] // 8, 1))
            )  # of a JPEG: an eighth, in a fifth of the time
            image.load()
    except UnidentifiedImageError:
        problem = "it is no image"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        problem = str(error) or type(error).__name__
    else:
        return size[1], size[0]
    raise OptionError(
        f"{spelled}: {path.name} cannot be read", why=problem, fix="replace the file, or take it out of the folder"
    )


def _caption(path: Path) -> str:
    try:
        return path.with_suffix(".txt").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"

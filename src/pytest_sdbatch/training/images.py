"""Images of a folder: found, looked at whole before anything is measured, and read. Nothing else reads any.

Images of folders within count, too; what is hidden does not, such as the leftovers of other systems and editors.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sdbatch.errors import OptionError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_LEFTOVERS = "__MACOSX"  # beside the folders of an archive, with a file of the name of each of theirs
_ORIENTATION = 0x0112  # in what a camera writes; from 5 on width and height change places
_SIXTEEN_BITS = 2**16 - 1
_DATA = "sd_train_data"
_OTHER_FOLDERS = "resize or crop them, or give each size a folder and a run of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """Images of one size, and their captions."""

    name: str  # of the folder
    paths: tuple[Path, ...]  # sorted
    height: int  # of each of them, pixels
    width: int

    def captions(self) -> tuple[str, ...]:
        """Return the text beside each image (``cat.txt`` of ``cat.png``); empty where there is none."""
        return tuple(_caption(path) for path in self.paths)


def find_images(folder: Path, *, spelled: str) -> tuple[Path, ...]:
    """Return the images in *folder* and in folders within, in the order of their names; none that is hidden.

    Args:
        folder: where links to folders are followed, each place once.
        spelled: the option that named it, for messages.

    Raises:
        OptionError: for a folder that is missing, holds no image, or has one within that cannot be read.

    """
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises where a folder above may not be entered
        raise OptionError(f"{spelled}: {str(folder)!r} is no folder", fix="name a folder of images")
    found, seen = [], set()
    for place, folders, files in os.walk(
        folder, onerror=lambda error: _refuse_folder(error, spelled), followlinks=True
    ):
        here = os.path.realpath(place)
        if here in seen:
            folders.clear()
            continue
        seen.add(here)
        folders[:] = [name for name in folders if not _is_hidden(name)]
        names = [name for name in files if name.lower().endswith(SUFFIXES) and not _is_hidden(name)]
        found += [path for path in (Path(place, name) for name in names) if path.is_file()]
    if not found:
        raise OptionError(
            f"{spelled}: {str(folder)!r} holds no image",
            why=f"no file in it, or in folders within, ends in {', '.join(SUFFIXES)}",
            fix="name a folder of images",
        )
    return tuple(sorted(found))


def look_at(folder: Path, *, spelled: str) -> ImageFolder:
    """Return the images of *folder*, each of which was read once.

    Args:
        folder: as :func:`find_images` takes it.
        spelled: the option that named it, for messages.

    Raises:
        OptionError: as :func:`find_images`, for an image that cannot be read, and images of several sizes.

    """
    paths = find_images(folder, spelled=spelled)
    first = (0, 0)
    for path in paths:
        with _opened(path, spelled=spelled) as image:
            _check_depth(image)
            size = _upright_size(image)
            # Of a JPEG an eighth, in a fifth of the time; to its end, for a file that was cut has a good header.
            image.draft("L", (max(image.width // 8, 1), max(image.height // 8, 1)))
            image.load()
        if path == paths[0]:
            first = size
        check_size(path, size, like=(paths[0], first), spelled=spelled, fix=_OTHER_FOLDERS)
    return ImageFolder(name=folder.resolve().name, paths=paths, height=first[1], width=first[0])


def check_size(
    path: Path, size: tuple[int, int], *, like: tuple[Path, tuple[int, int]], spelled: str, fix: str
) -> None:
    """Refuse an image that is not of the (width, height) that another one is *like*.

    Raises:
        OptionError: names both files.

    """
    other, expected = like
    if size != expected:
        raise OptionError(
            f"{spelled}: its images are of several sizes: {other.name} is {shown(expected)}, {path.name} {shown(size)} "
            "(width x height)",
            why="the examples of a batch have one size",
            fix=fix,
        )


def size_of(path: Path, *, spelled: str) -> tuple[int, int]:
    """Return (width, height) of an upright image by its header alone.

    Raises:
        OptionError: where it cannot be read.

    """
    with _opened(path, spelled=spelled) as image:
        return _upright_size(image)


def read_image(path: Path, *, spelled: str) -> Any:
    """Return an image upright, in colour, 8 bits a channel, as diffusers' scripts read it: without transparency.

    Of an animation it is the first picture. 16 bits of grey are brought to 8, which Pillow would cut off at 255.

    Raises:
        OptionError: where it cannot be read, or its pixels are numbers whose range is not known.

    """
    from PIL import ImageOps

    with _opened(path, spelled=spelled) as image:
        _check_depth(image)
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):
            upright = upright.convert("I").point(lambda value: value * (255 / _SIXTEEN_BITS)).convert("L")
        return upright.convert("RGBA" if "transparency" in upright.info else "RGB").convert("RGB")


def pixels_of(image: Any) -> Any:
    """Return a tensor (3, height, width) of bytes."""
    import torch

    flat = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return flat.view(image.height, image.width, 3).permute(2, 0, 1)


def read_images(paths: Sequence[Path], *, height: int, width: int) -> Any:
    """Return a float tensor (images, 3, *height*, *width*) from -1 to 1; images of another size are resized."""
    import torch
    from PIL import Image

    made = []
    for path in paths:
        picture = read_image(path, spelled=_DATA)
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        made.append(pixels_of(picture).float() / 127.5 - 1.0)
    return torch.stack(made)


def shown(size: tuple[int, int]) -> str:
    """Return (width, height) as text."""
    return f"{size[0]}x{size[1]}"


@contextmanager
def _opened(path: Path, *, spelled: str) -> Iterator[Picture]:
    """Open an image; whatever goes wrong until it is closed is an error that names the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        # Warnings are of what Pillow could read all the same: a photo of 100 megapixels, a doubtful header.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            yield image
    except Exception as error:  # noqa: BLE001 - damaged files raise of many kinds in Pillow; each is told
        problem = "it is no image" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__
    else:
        return
    raise OptionError(
        f"{spelled}: {path} cannot be read", why=problem, fix="replace the file, or take it out of the folder"
    )


def _check_depth(image: Picture) -> None:
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        raise ValueError("the range of its 32-bit pixels is not known: save it with 8 or 16 bits")


def _upright_size(image: Picture) -> tuple[int, int]:
    width, height = image.size
    return (height, width) if image.getexif().get(_ORIENTATION, 1) >= 5 else (width, height)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == _LEFTOVERS


def _refuse_folder(error: OSError, spelled: str) -> None:
    raise OptionError(f"{spelled}: {error.filename} cannot be read", why=error.strerror or str(error)) from None


def _caption(path: Path) -> str:
    try:
        return path.with_suffix(".txt").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""

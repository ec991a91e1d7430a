"""Images to learn from, a part of them held out: scikit-learn's digits, or a user's own; and parts of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_sdbatch import units
from pytest_sdbatch.errors import CannotRun, OptionError
from pytest_sdbatch.training.images import check_size, find_images, pixels_of, read_image, shown, size_of

HELD_OUT = 5  # one image in so many
_SPLIT_SEED = 0  # whatever the seed of a run: all runs are judged by the same images
RARE_SHARE = 0.1  # of the images of the class that is made rare
FEWEST = 20  # images of a user's own
_DATA = "--data"
_RESOLUTION = "give the size that all are cropped and scaled to, such as --resolution=32"
_DIVISOR = 4  # the network halves a side once, and its norms want some pixels
_MOST_BYTES = 2 * 2**30  # of images as they are learned from; three times that while they are read


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningData:
    """Images and their classes, as tensors on the host."""

    name: str
    images: Any  # float, [N, channels, side, side], from -1 to 1: to train on
    labels: Any  # whole numbers from 0, [N]
    held_out_images: Any
    held_out_labels: Any
    class_names: tuple[str, ...]
    rare_class: int | None = None  # of which only a tenth is left to train on

    @property
    def train_count(self) -> int:
        """How many images there are to train on."""
        return len(self.images)

    @property
    def side(self) -> int:
        """Pixels of a side."""
        return int(self.images.shape[-1])

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return int(self.images.shape[1])


def digits() -> LearningData:
    """Return the 1797 handwritten digits of 8x8 pixels that lie inside scikit-learn: 1438 to train on, 359 held out.

    Raises:
        CannotRun: where scikit-learn is not installed.

    """
    import torch

    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise CannotRun(
            "the digits are not here",
            why=f"they lie inside scikit-learn, which cannot be imported: {error}",
            fix="pip install 'pytest-sdbatch[training]'",
        ) from None
    found = load_digits()
    images = torch.from_numpy(found.images).float().unsqueeze(1) / 8 - 1
    labels = torch.from_numpy(found.target).long()
    return split_data("digits", images, labels, class_names=tuple(map(str, range(10))))


def split_data(name: str, images: Any, labels: Any, *, class_names: tuple[str, ...]) -> LearningData:
    """Return the data with a fifth of the images held out, the same ones every time."""
    import torch

    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(_SPLIT_SEED))
    held_out, train = order[: len(images) // HELD_OUT], order[len(images) // HELD_OUT :]
    return LearningData(
        name=name,
        images=images[train],
        labels=labels[train],
        held_out_images=images[held_out],
        held_out_labels=labels[held_out],
        class_names=class_names,
    )


def subset(data: LearningData, name: str) -> LearningData:
    """Return the part of *data* that is called *name*; a name that is not in :data:`SUBSETS` is refused.

    Raises:
        OptionError: for another name, or data that have no such part.

    """
    if name not in SUBSETS:
        raise OptionError(f"no subset {name!r}", fix=f"name one of {', '.join(SUBSETS)}")
    return SUBSETS[name](data)


def parts_of(data: LearningData) -> tuple[str, ...]:
    """Return the names of the parts that *data* have: with images to train on, and such that were held out."""
    return tuple(name for name in SUBSETS if name != "all" and _is_there(data, name))


def _is_there(data: LearningData, name: str) -> bool:
    try:
        part = subset(data, name)
    except OptionError:
        return False
    judged = part.held_out_labels
    if part.rare_class is not None:
        judged = judged[judged == part.rare_class]
    return part.train_count > 0 and len(judged) > 0


def _of_classes(count: int) -> Callable[[LearningData], LearningData]:
    """Return what takes the images of the first *count* classes, to train on and held out."""

    def take(data: LearningData) -> LearningData:
        if len(data.class_names) <= count:
            raise OptionError(
                f"{data.name} has no part of {count} classes",
                why=f"it has {len(data.class_names)}",
                fix="sort the images into folders, one a class",
            )
        train, held_out = data.labels < count, data.held_out_labels < count
        return replace(
            data,
            name=f"{data.name}, {count} of {len(data.class_names)} classes",
            images=data.images[train],
            labels=data.labels[train],
            held_out_images=data.held_out_images[held_out],
            held_out_labels=data.held_out_labels[held_out],
        )

    return take


def _tenth(data: LearningData) -> LearningData:
    count = max(1, data.train_count // 10)
    name = f"{data.name}, a tenth of the images"
    return replace(data, name=name, images=data.images[:count], labels=data.labels[:count])


def _rare(data: LearningData) -> LearningData:
    """Return the data with a tenth of the last class left to train on; all that was held out of it is still there."""
    if len(data.class_names) < 2:
        raise OptionError(f"{data.name} has no class to make rare", why="it has one class")
    rare = len(data.class_names) - 1
    of_it = (data.labels == rare).nonzero().flatten()
    kept = data.labels != rare
    kept[of_it[: max(1, round(RARE_SHARE * len(of_it)))]] = True
    return replace(
        data,
        name=f"{data.name}, class {data.class_names[rare]} made rare",
        images=data.images[kept],
        labels=data.labels[kept],
        rare_class=rare,
    )


SUBSETS: dict[str, Callable[[LearningData], LearningData]] = {
    "all": lambda data: data,
    "one-class": _of_classes(1),
    "three-classes": _of_classes(3),
    "small": _tenth,
    "rare": _rare,
}


def folder_data(folder: Path, *, side: int | None = None) -> LearningData:
    """Return the images of *folder*, a fifth of them held out.

    Args:
        folder: of images, or of folders of images, one a class.
        side: pixels to which all are cropped and scaled; None: they are square and of one size already.

    Raises:
        OptionError: for a folder that is missing, holds fewer than 20 images or more than the memory is meant for,
            one that cannot be read, or images of several sizes; names the file.

    """
    import torch
    from PIL import ImageOps

    paths = find_images(folder, spelled=_DATA)
    if len(paths) < FEWEST:
        raise OptionError(
            f"{_DATA}: {str(folder)!r} holds {units.count(len(paths), 'image')}",
            why=f"one in {HELD_OUT} is held out, and {FEWEST} are the fewest that say anything",
        )
    size = size_of(paths[0], spelled=_DATA) if side is None else (side, side)
    _check_shape(size, images=len(paths), given=side is not None)
    read = torch.empty((len(paths), 3, size[1], size[0]), dtype=torch.uint8)
    for place, path in zip(read, paths, strict=True):
        image = read_image(path, spelled=_DATA)
        if side is None:
            check_size(path, image.size, like=(paths[0], size), spelled=_DATA, fix=_RESOLUTION)
        place.copy_(pixels_of(image if side is None else ImageOps.fit(image, size)))
    grey = bool((read[:, :1] == read).all())
    images = (read[:, :1] if grey else read).float().div_(127.5).sub_(1)
    classes = [path.parent.relative_to(folder).as_posix() for path in paths]
    names = tuple(sorted(set(classes)))
    labels = torch.tensor([names.index(name) for name in classes])
    return split_data(folder.resolve().name, images, labels, class_names=names)


def _check_shape(size: tuple[int, int], *, images: int, given: bool) -> None:
    """Refuse images that the network cannot take, or that do not go into memory together, before they are read."""
    if size[0] != size[1] or size[0] % _DIVISOR:
        raise OptionError(
            f"--resolution={size[0]}" if given else f"{_DATA}: the images are {shown(size)}",
            why=f"the network learns square ones, of a side that {_DIVISOR} divides",
            fix=_RESOLUTION,
        )
    needed = 4 * 3 * images * size[0] * size[1]
    if needed > _MOST_BYTES:
        raise OptionError(
            f"{_DATA}: {units.count(images, 'image')} of {shown(size)} take {units.memory(needed)}",
            why=f"all are held in memory, and {units.memory(_MOST_BYTES)} is the most for that",
            fix=_RESOLUTION,
        )

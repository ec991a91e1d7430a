"""Images to learn from, a part of them held out: scikit-learn's digits, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pytest_sdbatch.errors import CannotRun, OptionError

HELD_OUT = 5  # one image in so many
_SPLIT_SEED = 0  # whatever the seed of a run: all runs are judged by the same images
RARE_SHARE = 0.1  # of the images of the class that is made rare


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

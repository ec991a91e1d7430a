"""Whether the same images come out of every split: image by image, against a tolerance. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Image: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"  # any shape; 8-bit values count as 0 to 1
_LEVEL = 1 / 255 * 1.001  # one step of an 8-bit image, and rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far image k may differ between two splits: one of the two."""

    max_abs: float | None = None  # of any value
    psnr_db: float | None = None  # at least, over all values of the image


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Parity:
    """What comparing the splits of one number of images gave. Image k is counted from 0."""

    splits: tuple[str, ...]  # batch size x batch count; the first is what the others are compared with
    tolerance: Tolerance
    max_abs_difference: float | None = None  # the worst over all splits; None: see problem
    max_abs_differences: tuple[float, ...] = ()  # of each image, the worst over the splits
    psnr_db: float | None = None  # of the worst image and split; None: see psnr_reason
    psnr_reason: str | None = None
    worst_image: int | None = None
    worst_split: str | None = None
    problem: str | None = None  # why nothing could be compared, or why agreement would mean nothing
    within: bool = False  # every image of every split is within the tolerance

    @property
    def agrees(self) -> bool:
        """Whether the split changes nothing but rounding, and a change would have been seen."""
        return self.within and self.problem is None

    def __bool__(self) -> bool:
        """Refuse: ``assert check_parity(...)`` would pass whatever came out."""
        raise TypeError("a Parity is neither true nor false: assert its .agrees")

    def __repr__(self) -> str:
        """Return what is printed: pytest shows this of ``assert parity.agrees, parity``."""
        lines = [f"{', '.join(self.splits)}: {'agree' if self.agrees else 'do not agree'}"]
        if self.problem is not None:
            lines.append(self.problem)
        if self.max_abs_difference is not None:
            psnr = f"PSNR {self.psnr_db:.1f} dB" if self.psnr_db is not None else self.psnr_reason
            worst = "" if self.worst_image is None else f" (image {self.worst_image} of {self.worst_split})"
            lines.append(f"largest difference {self.max_abs_difference:.3g}{worst}, {psnr}; allowed: {self._allowed()}")
        return "\n  ".join(lines)

    def _allowed(self) -> str:
        if self.tolerance.psnr_db is not None:
            return f"PSNR {self.tolerance.psnr_db:g} dB or more"
        return f"a difference of {self.tolerance.max_abs:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    """Of one image in one split."""

    image: int
    split: str
    max_abs: float
    psnr_db: float  # inf where the images are identical

    def within(self, tolerance: Tolerance) -> bool:
        if tolerance.psnr_db is not None:
            return self.psnr_db >= tolerance.psnr_db
        return self.max_abs <= (tolerance.max_abs or 0.0)


def compare(images: Mapping[str, Sequence[Image]], tolerance: Tolerance) -> Parity:
    """Compare the images of each split with those of the first.

    PSNR takes the range of the first split's values as its peak, not 1: images of random weights are pale, and
    measured against 1 even those of different seeds would look alike.

    Args:
        images: by split, in the order of their seeds; two splits and more.
        tolerance: what counts as agreement; 8-bit images may always differ by one level.

    """
    splits = tuple(images)
    problem = _unusable(images)
    if problem is not None:
        return Parity(splits=splits, tolerance=tolerance, problem=problem)
    reference = [_values(image) for image in images[splits[0]]]
    tolerance = _for_bits(tolerance, eight_bits=images[splits[0]][0].dtype == np.uint8)
    peak = max(float(image.max()) for image in reference) - min(float(image.min()) for image in reference)
    differences = [
        _difference(reference[k], _values(image), peak=peak, image=k, split=split)
        for split in splits[1:]
        for k, image in enumerate(images[split])
    ]
    within = all(difference.within(tolerance) for difference in differences)
    worst = min(differences, key=lambda difference: (difference.psnr_db, -difference.max_abs))
    return Parity(
        splits=splits,
        tolerance=tolerance,
        max_abs_difference=max(difference.max_abs for difference in differences),
        max_abs_differences=tuple(
            max(difference.max_abs for difference in differences if difference.image == k)
            for k in range(len(reference))
        ),
        psnr_db=worst.psnr_db if math.isfinite(worst.psnr_db) else None,
        psnr_reason=None if math.isfinite(worst.psnr_db) else "the images are identical",
        worst_image=worst.image if worst.max_abs > 0 else None,
        worst_split=worst.split if worst.max_abs > 0 else None,
        problem=_blind(reference, peak=peak, tolerance=tolerance) if within else None,
        within=within,
    )


def _for_bits(tolerance: Tolerance, *, eight_bits: bool) -> Tolerance:
    """Return *tolerance*, wide enough for what rounding to 8 bits does to the smallest difference."""
    if tolerance.max_abs is None or not eight_bits:
        return tolerance
    return Tolerance(max_abs=max(tolerance.max_abs, _LEVEL))


def images_of(output: Any) -> list[Image]:
    """Return the images, or videos, in what one call returned: tensors, arrays, pictures or an output of diffusers."""
    for name in ("images", "frames"):
        output = getattr(output, name, output)
    if isinstance(output, tuple):  # return_dict=False: (images, flags)
        output = output[0]
    return [_array(image) for image in output]


def _array(image: Any) -> Image:
    if isinstance(image, (list, tuple)):  # frames
        return np.stack([_array(frame) for frame in image])
    if hasattr(image, "detach"):  # a tensor, told without torch; NumPy has no bfloat16
        image = image.detach().float().cpu()
    return np.asarray(image)


def _unusable(images: Mapping[str, Sequence[Image]]) -> str | None:
    """Return why the splits cannot be compared, or None."""
    first = next(iter(images))
    for split, made in images.items():
        if len(made) != len(images[first]):
            return f"split {split} made {len(made)} images, split {first} {len(images[first])}"
        for k, (image, other) in enumerate(zip(made, images[first], strict=True)):
            if image.shape != other.shape:
                return f"image {k} has shape {image.shape} in split {split}, {other.shape} in split {first}"
            if not np.isfinite(image).all():
                return f"image {k} of split {split} holds values that are not finite"
    return None if images[first] else "no image was made"


def _blind(reference: Sequence[Image], *, peak: float, tolerance: Tolerance) -> str | None:
    """Return why the comparison could not see a wrong seed, or None: two different images must not pass for one."""
    for k in range(1, len(reference)):
        apart = _difference(reference[0], reference[k], peak=peak, image=k, split="")
        if apart.within(tolerance):
            return f"images 0 and {k} differ by no more than the tolerance: a wrong seed would not be seen"
    return None


def _difference(one: Image, other: Image, *, peak: float, image: int, split: str) -> _Difference:
    apart = np.abs(one - other)
    mean_square = float(np.mean(np.square(apart)))
    psnr_db = math.inf if mean_square == 0 else 10 * math.log10(max(peak, 1e-12) ** 2 / mean_square)
    return _Difference(image=image, split=split, max_abs=float(apart.max()), psnr_db=psnr_db)


def _values(image: Image) -> Image:
    values = image.astype(np.float64)
    return values / 255 if image.dtype == np.uint8 else values

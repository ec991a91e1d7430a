"""``check_parity``: runs the same images in several splits and compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.axes import divisors
from pytest_sdbatch.pipelines.generation import DEFAULT_PROMPTS, GenerationWorkload

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.parity import Image, Parity, Tolerance
    from pytest_sdbatch.grid.case import Case

FEWEST_IMAGES = 4  # the smallest number with a split between one at a time and all at once
TINY_MAX_ABS = 1e-4
VIDEO_MAX_ABS = 1e-3  # the VAEs of video models divide by the norm of each pixel, which makes small ones large
LEAST_PSNR_DB = 30.0


def check_parity(
    target: Any,
    case: Case,
    *,
    images: int | None = None,
    prompts: Sequence[str] = DEFAULT_PROMPTS,
    seed: int = 0,
    max_abs: float | None = None,
    psnr_db: float | None = None,
) -> Parity:
    """Return whether image k is the same however the images are split into calls, rounding aside.

    The images are made one at a time, all in one call, and in between; image k has seed ``seed + k`` in each split.
    Nothing is raised where they differ: assert ``.agrees``, or look at the figures.

    Args:
        target: a diffusers pipeline, or a callable that takes a Batch and makes ``batch.size`` images.
        case: steps, size, dtype and output type; its batch size is one of the splits where it divides *images*.
        images: how many to make in each split; those of the case, and at least 4, if it is not given.
        prompts: used in turn.
        seed: of image 0.
        max_abs: the largest difference of any value that is allowed. Default: 1e-4 (videos 1e-3) for tiny models
            and for pipelines and callables of one's own in fp32.
        psnr_db: the least PSNR that is allowed, over the range of the images' values. Default elsewhere: 30.

    Raises:
        OptionError: for fewer than two images, and for two tolerances at once.

    What *target* raises is passed on.
    """
    from pytest_sdbatch.analysis.parity import compare, images_of

    count = max(case.images, FEWEST_IMAGES) if images is None else images
    if count < 2:
        raise OptionError(f"images={count}: one image has one split", fix="check at least two, better four")
    tolerance = _tolerance(case, max_abs=max_abs, psnr_db=psnr_db)
    made: dict[str, list[Image]] = {}
    for size in _batch_sizes(count, case.batch_size):
        split = replace(case, batch_size=size, batch_count=count // size)
        calls = GenerationWorkload(target, split, prompts, seed).prepare()
        made[split.split] = [image for call in calls for image in images_of(call())]
    return compare(made, tolerance)


def _tolerance(case: Case, *, max_abs: float | None, psnr_db: float | None) -> Tolerance:
    from pytest_sdbatch.analysis.parity import Tolerance

    if max_abs is not None and psnr_db is not None:
        raise OptionError("max_abs and psnr_db were both given", fix="choose one of them")
    if max_abs is not None or psnr_db is not None:
        return Tolerance(max_abs=max_abs, psnr_db=psnr_db)
    # In larger models rounding grows over depth and steps, and kernels change with the batch size.
    small = case.model is None or case.model.startswith("tiny-")
    if case.dtype == "fp32" and small:
        return Tolerance(max_abs=TINY_MAX_ABS if case.frames is None else VIDEO_MAX_ABS)
    return Tolerance(psnr_db=LEAST_PSNR_DB)


def _batch_sizes(images: int, own: int) -> list[int]:
    """Return one at a time, then the case's own size or the one nearest to the root, then all at once."""
    between = [size for size in divisors(images) if 1 < size < images]
    if own not in between and between:
        own = min(between, key=lambda size: abs(size - images**0.5))
    return [1, *([own] if own in between else []), images]

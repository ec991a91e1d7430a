"""The check of what the measured calls returned: a wrong picture never counts as fast."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Outcome

CHECKED = "checked"
_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputVerdict:
    """What the check found."""

    status: str  # "checked", or "unchecked: " and why
    problem: str | None = None  # what is wrong with the output; None: nothing that was looked at
    outcome: Outcome = Outcome.INVALID_OUTPUT  # of a case whose output has the problem


class _Unknown(Exception):
    """The output is of a kind that is not looked at."""


def check_output(outputs: Sequence[object], case: Case) -> OutputVerdict:
    """Look at what each call of a round returned: number of images, size, finite values, more than one value.

    Of videos the frames are counted too. Known are torch tensors, NumPy arrays, sequences of them or of PIL images
    (or of frames), and the outputs of diffusers pipelines. The size is compared unless the output is latent or the
    pipeline is the user's own, whose size the case does not set. Never raises: an output that cannot be read is
    "unchecked", and says so.

    Args:
        outputs: one per call.
        case: what was asked for.

    """
    for number, output in enumerate(outputs, start=1):
        try:
            problem = _problem(output, case)
        except _Unknown as unknown:
            return OutputVerdict(status=f"unchecked: {unknown}")
        except Exception as error:  # noqa: BLE001 - objects of users may raise anything; it is shown as unchecked
            return OutputVerdict(status=f"unchecked: {type(output).__name__} raised {type(error).__name__}")
        if problem is not None:
            return OutputVerdict(status=CHECKED, problem=f"call {number} of {len(outputs)}: {problem}")
    return OutputVerdict(status=CHECKED)


def _problem(output: object, case: Case) -> str | None:
    if inspect.isgenerator(output) or inspect.isasyncgen(output) or inspect.isawaitable(output):
        return f"a {type(output).__name__} that nobody ran: return the images it makes"
    images, noun = _images(output), "image" if case.frames is None else "video"
    alone = case.batch_size == 1 or case.frames is None  # the frames of one video could be several videos
    if alone and case.output_type != "latent" and _is_single(images, case):
        images = [images]
    if len(images) != case.batch_size:
        return f"{len(images)} {noun}s where {case.batch_size} were asked for"
    for number, image in enumerate(images, start=1):
        frames = _frames(image) if case.frames is not None and case.output_type != "latent" else ()
        if frames and case.frames not in frames:
            return f"{noun} {number} has {' or '.join(map(str, frames))} frames, not {case.frames}"
        sizes = _sizes(image)
        if sizes and _sets_size(case) and (case.height, case.width) not in sizes:
            made = " or ".join(f"{height}x{width}" for height, width in dict.fromkeys(sizes))
            return f"{noun} {number} is {made} (height x width), not {case.height}x{case.width}"
        if _is_array(image) and 0 in tuple(image.shape):
            return f"{noun} {number} is empty"
        values = list(_extremes(image))
        if not all(math.isfinite(value) for pair in values for value in pair):
            return f"{noun} {number} holds values that are not finite"
        if all(low == high for low, high in values):
            return f"{noun} {number} is constant: every value is {values[0][0]:g}"
    return None


def _sets_size(case: Case) -> bool:
    return case.output_type != "latent" and case.weights != "own"


def _images(output: Any) -> Any:
    """Return the images of one call's output: an array or a sequence with one item per image."""
    if _is_array(output):
        return output
    for name in ("images", "frames"):
        if hasattr(output, name):
            return _images(getattr(output, name))
    if _is_picture(output):
        return [output]
    if isinstance(output, tuple) and output and (_is_array(output[0]) or isinstance(output[0], list)):
        first = output[0]  # return_dict=False: (images, flags)
        if isinstance(first, list) or len(first.shape) >= 4:
            return _images(first)
    if isinstance(output, (list, tuple)):
        return output
    raise _Unknown("nothing was returned" if output is None else type(output).__name__)


def _is_single(images: Any, case: Case) -> bool:
    """Return whether *images* is one image, or one video of the frames asked for, without a batch dimension."""
    if case.frames is not None:
        flat = len(images.shape) == 4 if _is_array(images) else all(_is_frame(item) for item in images)
        return flat and len(images) == case.frames
    if not _is_array(images) or len(images.shape) != 3:
        return False
    return images.shape[0] in _CHANNELS or images.shape[-1] in _CHANNELS


def _is_frame(item: Any) -> bool:
    return _is_picture(item) or (_is_array(item) and len(item.shape) == 3)


def _frames(video: Any) -> tuple[int, ...]:
    """Return the numbers of frames that *video* can be said to have; none where it is not known."""
    if _is_frame(video):
        return (1,)
    if isinstance(video, (list, tuple)):
        return (len(video),)
    if not _is_array(video) or len(video.shape) != 4:
        return ()
    first, second = int(video.shape[0]), int(video.shape[1])
    if video.shape[-1] in _CHANNELS or first not in _CHANNELS:
        return (first,)
    return (first, second) if second in _CHANNELS else (second,)  # the channels may come first


def _sizes(image: Any) -> list[tuple[int, int]]:
    """Return the (height, width) that *image* can be said to have, in pixels; none where it is not known."""
    if _is_picture(image):
        return [(image.size[1], image.size[0])]
    if _is_array(image):
        shape = tuple(int(side) for side in image.shape)
        if len(shape) not in (3, 4):  # frames may come before height, width and channels in either order
            return []
        first, last = (shape[-2], shape[-1]), (shape[-3], shape[-2])
        if shape[-1] in _CHANNELS:
            return [last]
        return [first] if shape[-3] in _CHANNELS else [first, last]
    if isinstance(image, (list, tuple)) and image:
        return _sizes(image[0])
    return []


def _extremes(image: Any) -> Iterator[tuple[float, float]]:
    """Yield the lowest and highest value of *image*, or of each of its bands or frames; NaN where one is NaN."""
    if _is_picture(image):
        extremes = image.getextrema()
        yield from extremes if isinstance(extremes[0], (list, tuple)) else [extremes]
    elif _is_array(image) and len(image.shape) == 3 and (image.shape[0] in _CHANNELS or image.shape[-1] in _CHANNELS):
        # By channel, as of a picture: one of plain red is constant, though its channels differ.
        channels = image if image.shape[0] in _CHANNELS else (image[..., index] for index in range(image.shape[-1]))
        for channel in channels:
            yield from _extremes(channel)
    elif _is_array(image):
        if hasattr(image, "aminmax"):  # torch: one pass where the tensor is, no copy; NaN comes through
            low, high = image.detach().aminmax()
        else:
            low, high = image.min(), image.max()
        yield float(low), float(high)
    elif isinstance(image, (list, tuple)) and image:
        for frame in image:
            yield from _extremes(frame)
    else:
        raise _Unknown(f"a batch of {type(image).__name__}")


def _is_array(value: Any) -> bool:
    """Return whether *value* is a torch tensor or a NumPy array, without importing either."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "min")


def _is_picture(value: Any) -> bool:
    """Return whether *value* is a PIL image, without importing PIL."""
    return hasattr(value, "getextrema") and hasattr(value, "size")

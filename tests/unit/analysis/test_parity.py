"""Comparing the images of several splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.parity import Tolerance, compare, images_of

CLOSE = Tolerance(max_abs=1e-4)
ALIKE = Tolerance(psnr_db=30)


def pictures(number: int = 4, *, contrast: float = 1.0) -> list[Any]:
    """Return *number* images that differ."""
    random = np.random.default_rng(0)
    return [0.5 + contrast * (random.random((3, 8, 8)) - 0.5) for _ in range(number)]


def changed(image: int, by: float) -> list[Any]:
    """Return the same images, one value of one of them *by* larger."""
    made = pictures()
    made[image][1, 2, 3] += by
    return made


def test_equal_images_agree_and_their_psnr_is_unknown_with_a_reason() -> None:
    """Identical is no number of decibels."""
    parity = compare({"1x4": pictures(), "4x1": pictures()}, CLOSE)

    assert parity.agrees
    assert (parity.max_abs_difference, parity.psnr_db, parity.psnr_reason) == (0, None, "the images are identical")
    assert (parity.worst_image, parity.worst_split, parity.problem) == (None, None, None)


def test_the_worst_image_is_named() -> None:
    """One image of one split is enough to disagree."""
    parity = compare({"1x4": pictures(), "2x2": pictures(), "4x1": changed(2, 0.25)}, CLOSE)

    assert not parity.agrees
    assert (parity.worst_image, parity.worst_split) == (2, "4x1")
    assert parity.max_abs_difference == pytest.approx(0.25)
    assert parity.max_abs_differences == pytest.approx((0, 0, 0.25, 0))
    assert "image 2 of 4x1" in str(parity)
    assert "allowed: a difference of 0.0001" in str(parity)


@given(st.integers(0, 3), st.floats(1e-6, 1e-3), st.sampled_from(["2x2", "4x1"]))
def test_the_tolerance_is_the_limit_for_every_image_and_split(image: int, by: float, split: str) -> None:
    """Wherever the difference is, it counts the same."""
    made = {"1x4": pictures(), "2x2": pictures(), "4x1": pictures()} | {split: changed(image, by)}

    assert compare(made, Tolerance(max_abs=by * 1.01)).agrees
    assert not compare(made, Tolerance(max_abs=by * 0.99)).agrees


def test_psnr_is_measured_against_the_range_of_the_images() -> None:
    """Pale images of another seed are not taken for the same ones, as they would be against a peak of 1."""
    pale = pictures(contrast=0.01)

    parity = compare({"1x4": pale, "4x1": [pale[0], *pale[:3]]}, ALIKE)

    assert not parity.agrees
    assert parity.psnr_db is not None
    assert parity.psnr_db < 15
    assert "PSNR 30 dB or more" in str(parity)


def test_psnr_is_that_of_its_definition() -> None:
    """Ten times the logarithm of squared range over mean squared difference."""
    images = [np.array([0.0, 1.0]), np.array([1.0, 0.0])]

    parity = compare({"1x2": images, "2x1": [images[0] + 0.01, images[1]]}, ALIKE)

    assert parity.psnr_db == pytest.approx(40.0)
    assert parity.agrees


@pytest.mark.parametrize("image", [np.zeros((3, 8, 8)), pictures(1)[0]])
def test_images_that_do_not_depend_on_the_seed_prove_nothing(image: Any) -> None:
    """A check that could not see a wrong seed does not pass."""
    parity = compare({"1x3": [image] * 3, "3x1": [image] * 3}, CLOSE)

    assert not parity.agrees
    assert "a wrong seed would not be seen" in str(parity)


def test_eight_bit_images_may_differ_by_a_level() -> None:
    """Rounding makes the smallest difference one of 255 levels; two are too many."""
    images = [(picture * 200).astype(np.uint8) for picture in pictures()]
    one, two = ([image + np.uint8(step) for image in images] for step in (1, 2))

    assert compare({"1x4": images, "4x1": one}, CLOSE).agrees
    assert not compare({"1x4": images, "4x1": two}, CLOSE).agrees


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (pictures(3), "split 4x1 made 3 images, split 1x4 4"),
        ([picture[:, :4] for picture in pictures()], "image 0 has shape"),
        ([*pictures(3), np.full((3, 8, 8), np.nan)], "image 3 of split 4x1 holds values that are not finite"),
    ],
)
def test_what_cannot_be_compared_does_not_agree(made: list[Any], message: str) -> None:
    """Nothing is raised: the reason stands in the result, and there are no figures."""
    parity = compare({"1x4": pictures(), "4x1": made}, CLOSE)

    assert not parity.agrees
    assert message in str(parity)
    assert parity.max_abs_difference is None


def test_no_images_do_not_agree() -> None:
    """An empty output is no success."""
    assert not compare({"1x4": [], "4x1": []}, CLOSE).agrees


def test_the_result_itself_is_not_a_truth() -> None:
    """An assertion without ``.agrees`` would always pass."""
    with pytest.raises(TypeError, match="agrees"):
        assert compare({"1x4": pictures(), "4x1": changed(0, 1.0)}, CLOSE)


class Output:
    """An output of diffusers."""

    def __init__(self, **fields: object) -> None:
        vars(self).update(fields)


@pytest.mark.parametrize(
    "output",
    [
        np.zeros((2, 3, 4, 4)),
        [np.zeros((3, 4, 4))] * 2,
        (np.zeros((2, 3, 4, 4)), [False, False]),
        Output(images=np.zeros((2, 3, 4, 4))),
        Output(frames=np.zeros((2, 3, 4, 4))),
        [[np.zeros((4, 4))] * 3] * 2,
    ],
)
def test_images_are_found_in_every_kind_of_output(output: object) -> None:
    """Arrays, lists of images, lists of frames, and outputs with flags."""
    assert [image.shape for image in images_of(output)] == [(3, 4, 4)] * 2


def test_tensors_of_any_dtype_become_arrays() -> None:
    """NumPy has no bfloat16."""
    import torch

    (image,) = images_of(torch.full((1, 2, 2), 0.5, dtype=torch.bfloat16, requires_grad=True))

    assert image.tolist() == [[0.5, 0.5], [0.5, 0.5]]

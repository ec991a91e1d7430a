"""The gradient noise scale: the batch size at which the noise of a batch's gradient is as large as the gradient.

K gradients g_i, each the mean over b examples of their own, give it by their inner products (arXiv 1812.06162, app. A):
|G|^2 = (sum - trace) / (K (K - 1)), tr S = b (trace / K - |G|^2), B_simple = tr S / |G|^2. Its limits are Fieller's,
with the covariance of the jackknife. Where |G|^2 is not surely above 0 there is no upper limit and no estimate.

It is a first guess at B_crit, good to a factor of 2 to 5; the time to a target is the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from pytest_sdbatch.analysis.estimate import student_quantile
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.errors import TooFewSamples

Values: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

FEWEST_EXAMPLES = 256
FEWEST_BATCHES = 16
_TWO_SIDED_95 = 0.975


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseScale:
    """What K gradients of b examples say about the noise scale.

    ``size.estimate`` is None where the gradient is not surely above its noise: then ``size.low`` is all there is,
    "B >= low", and None there: nothing at all.
    """

    size: Bounds
    batches: int
    batch_size: int

    @property
    def examples(self) -> int:
        """How many examples it was taken on."""
        return self.batches * self.batch_size


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSplit:
    """Where the variance of one example's gradient comes from, as shares of it that add up to 1."""

    image: Bounds
    timestep: Bounds  # and what it does to one image unlike to another
    noise: Bounds  # the one that was added to the image


def noise_scale(products: Values, *, batch_size: int) -> NoiseScale:
    """Return the noise scale by the inner *products* of gradients.

    Known answer: at b = 1, unit gradients whose mean inner product is 1/2 have |G|^2 = tr S = 1/2: a noise scale of 1.

    Args:
        products: K x K, of the mean gradients of K batches with each other.
        batch_size: examples in each of these batches, all drawn independently.

    Raises:
        TooFewSamples: for fewer than 16 batches or 256 examples: they say too little.
        ValueError: for products that are no symmetric square of finite numbers.

    """
    matrix = _checked(products, batch_size)
    moments = _moments(matrix, batch_size)
    total, squared = moments(None)
    left_out = np.array([moments(index) for index in range(len(matrix))])
    (own, shared), (_, other) = _jackknife(left_out).tolist()
    size = fieller(total, squared, own, other, shared, freedom=len(matrix) - 1)
    return NoiseScale(size=size, batches=len(matrix), batch_size=batch_size)


def noise_split(
    products: Values, *, batch_size: int, same_image_and_timestep: Values, same_image: Values
) -> NoiseSplit:
    """Return which part of the gradient's variance is the image's, the timestep's and the drawn noise's.

    Args:
        products: K x K, as for :func:`noise_scale`.
        batch_size: examples in each batch.
        same_image_and_timestep: K products of each gradient with that of the same images and timesteps under noise
            drawn anew.
        same_image: the same where the timesteps were drawn anew, too.

    Raises:
        TooFewSamples: as :func:`noise_scale`.
        ValueError: as :func:`noise_scale`.

    """
    matrix = _checked(products, batch_size)
    for others in (same_image_and_timestep, same_image):
        _check_finite(others)
    moments = _moments(matrix, batch_size)

    def shares(without: int | None) -> tuple[float, float, float]:
        total, squared = moments(without)
        kept = np.ones(len(matrix), dtype=bool)
        if without is not None:
            kept[without] = False
        both = batch_size * (float(same_image_and_timestep[kept].mean()) - squared)
        image = batch_size * (float(same_image[kept].mean()) - squared)
        return image / total, (both - image) / total, 1 - both / total

    estimates = shares(None)
    errors = np.sqrt(np.diag(_jackknife(np.array([shares(index) for index in range(len(matrix))]))))
    reach = student_quantile(len(matrix) - 1, _TWO_SIDED_95) * errors
    found = [
        Bounds(estimate=value, low=value - float(half), high=value + float(half))
        for value, half in zip(estimates, reach, strict=True)
    ]
    return NoiseSplit(image=found[0], timestep=found[1], noise=found[2])


def fieller(
    above: float, below: float, variance_above: float, variance_below: float, covariance: float, *, freedom: float
) -> Bounds:
    """Return *above* / *below* with its 95 % limits, or only the lower one where *below* is not surely above 0.

    Source:
        Fieller (1954): the ratios r at which above - r below lies within Student's t of 0.

    """
    reach = student_quantile(freedom, _TWO_SIDED_95) ** 2
    square = below * below - reach * variance_below
    lone = above * below - reach * covariance
    rest = above * above - reach * variance_above
    inside = lone * lone - square * rest
    if below > 0 and square > 0:
        root = math.sqrt(max(inside, 0.0))
        return Bounds(
            estimate=above / below, low=max((lone - root) / square, 0.0), high=max((lone + root) / square, 0.0)
        )
    if above <= 0 or rest <= 0 or inside < 0 or square == 0:
        return Bounds(estimate=None)
    # What is excluded lies between the roots, 0 in it: nothing below the larger one.
    return Bounds(estimate=None, low=(lone - math.sqrt(inside)) / square)


def _checked(products: Values, batch_size: int) -> Values:
    matrix = np.asarray(products, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or batch_size < 1:
        raise ValueError(f"products are of K batches with each other, and not {matrix.shape}")
    count = len(matrix)
    if count < FEWEST_BATCHES or count * batch_size < FEWEST_EXAMPLES:
        raise TooFewSamples(
            f"a noise scale from {count} batches of {batch_size}",
            why=f"fewer than {FEWEST_BATCHES} batches or {FEWEST_EXAMPLES} examples say too little",
            fix=f"take {FEWEST_EXAMPLES} examples or more in {FEWEST_BATCHES} batches or more",
        )
    _check_finite(matrix)
    if not np.allclose(matrix, matrix.T, rtol=1e-3, atol=1e-6 * float(np.abs(matrix).max())):
        raise ValueError("inner products are symmetric, and these are not")
    return matrix


def _check_finite(products: Values) -> None:
    if not np.isfinite(products).all():
        raise ValueError("an inner product of gradients is not finite: the loss is NaN, or an fp16 gradient overflowed")


def _moments(matrix: Values, batch_size: int) -> Callable[[int | None], tuple[float, float]]:
    """Return a function that gives tr S and |G|^2 of all batches, or of all but one."""
    whole, trace = float(matrix.sum()), float(np.trace(matrix))
    rows, own = matrix.sum(axis=1), np.diag(matrix)

    def moments(without: int | None) -> tuple[float, float]:
        count, all_products, own_products = len(matrix), whole, trace
        if without is not None:
            count -= 1
            all_products -= 2 * float(rows[without]) - float(own[without])
            own_products -= float(own[without])
        squared = (all_products - own_products) / (count * (count - 1))
        return batch_size * (own_products / count - squared), squared

    return moments


def _jackknife(left_out: Values) -> Values:
    """Return the covariance of statistics of which each row leaves one value out."""
    apart = left_out - left_out.mean(axis=0)
    return np.asarray((len(left_out) - 1) / len(left_out) * (apart.T @ apart))

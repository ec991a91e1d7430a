"""The noise scale: known gradients, refusals, one-sided answers, and limits that cover what a population has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import t as student

from pytest_sdbatch.analysis.noise_scale import fieller, noise_scale, noise_split
from pytest_sdbatch.errors import TooFewSamples

Values = np.ndarray[Any, np.dtype[np.float64]]


def population(random: np.random.Generator, *, size: float, examples: int = 3000, parameters: int = 60) -> Values:
    """Return gradients of single examples with a noise scale of *size*: few directions carry most, tails are heavy."""
    scales = np.geomspace(1, 0.05, parameters)
    noise = random.standard_t(5, (examples, parameters)) * scales * random.lognormal(0, 0.5, (examples, 1))
    noise -= noise.mean(axis=0)
    mean = random.standard_normal(parameters) * scales
    return np.asarray(noise + mean * np.sqrt(noise.var(axis=0).sum() / size / (mean @ mean)))


def drawn(random: np.random.Generator, gradients: Values, *, batches: int = 32, batch_size: int = 8) -> Values:
    """Return the inner products of the mean gradients of random batches."""
    chosen = random.integers(0, len(gradients), (batches, batch_size))
    means = gradients[chosen].mean(axis=1)
    return np.asarray(means @ means.T)


def test_equal_gradients_have_no_noise() -> None:
    """Where all batches say the same, one example is enough."""
    found = noise_scale(np.ones((16, 16)), batch_size=16)

    assert (found.size.estimate, found.size.high) == pytest.approx((0, 0))
    assert found.examples == 256


def test_as_much_noise_as_gradient_is_a_noise_scale_of_one() -> None:
    """Unit gradients whose inner products are a half."""
    found = noise_scale(np.full((256, 256), 0.5) + 0.5 * np.eye(256), batch_size=1)

    assert found.size.estimate == pytest.approx(1)
    half = noise_scale(np.full((64, 64), 0.5) + 0.5 * np.eye(64), batch_size=4)
    assert half.size.estimate == pytest.approx(4), "the noise of one example is four times that of four"


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
@settings(max_examples=30)
def test_the_scale_of_the_loss_does_not_matter(seed: int, factor: float) -> None:
    """The noise scale is a ratio."""
    random = np.random.default_rng(seed)
    products = drawn(random, population(random, size=20.0, examples=300))

    assert noise_scale(products * factor, batch_size=8).size.low == pytest.approx(
        noise_scale(products, batch_size=8).size.low, rel=1e-6
    )


@pytest.mark.parametrize(("batches", "batch_size"), [(15, 100), (16, 15), (255, 1), (2, 2)])
def test_too_few_are_refused(batches: int, batch_size: int) -> None:
    """Fewer than 256 examples or 16 batches say too little to be shown."""
    with pytest.raises(TooFewSamples, match=f"from {batches} batches of {batch_size}"):
        noise_scale(np.eye(batches), batch_size=batch_size)


@pytest.mark.parametrize(
    "products", [np.ones((16, 17)), np.full((16, 16), np.nan), np.triu(np.ones((16, 16)))], ids=["shape", "nan", "half"]
)
def test_what_are_no_products_is_refused(products: Values) -> None:
    """A gradient that is no number has no noise scale."""
    with pytest.raises(ValueError, match=r"products|finite"):
        noise_scale(products, batch_size=16)


def test_a_gradient_that_is_not_seen_gives_a_lower_limit_only() -> None:
    """At a noise scale far above the examples taken: "B >= x", and no estimate."""
    random = np.random.default_rng(3)
    products = drawn(random, population(random, size=1e5))
    found = noise_scale(products, batch_size=8).size

    assert found.estimate is None
    assert found.high is None
    assert found.low is not None
    assert 10 < found.low < 1e5


@pytest.mark.parametrize("size", [3.0, 30.0, 300.0, 3000.0])
@pytest.mark.parametrize(("batches", "batch_size"), [(32, 8), (16, 16)])
def test_limits_cover_the_noise_scale_of_a_population(size: float, batches: int, batch_size: int) -> None:
    """256 examples of 3,000, drawn 400 times: at least 92 % of the nominal 95 % intervals hold the population's own."""
    random = np.random.default_rng(int(size))
    gradients = population(random, size=size)
    mean = gradients.mean(axis=0)
    true = gradients.var(axis=0).sum() / (mean @ mean)
    inside = 0
    for _ in range(400):
        found = noise_scale(
            drawn(random, gradients, batches=batches, batch_size=batch_size), batch_size=batch_size
        ).size
        inside += (found.low or 0) <= true <= (np.inf if found.high is None else found.high)

    assert inside / 400 >= 0.92


@given(st.floats(0.5, 5), st.floats(0.5, 5), st.floats(0.01, 0.2), st.floats(0.01, 0.2), st.floats(-0.9, 0.9))
def test_limits_of_a_ratio_are_where_the_test_turns(a: float, b: float, u: float, v: float, rho: float) -> None:
    """At each limit the statistic of above - r below equals Student's t, found by a root finder."""
    variance_a, variance_b = (u * a) ** 2, (v * b) ** 2 / 4
    covariance = rho * np.sqrt(variance_a * variance_b)
    found = fieller(a, b, variance_a, variance_b, covariance, freedom=15)

    def excess(ratio: float) -> float:
        variance = variance_a - 2 * ratio * covariance + ratio**2 * variance_b
        return float((a - ratio * b) ** 2 - student.ppf(0.975, 15) ** 2 * variance)

    assert found.low is not None
    assert found.high is not None
    if found.low > 0:
        assert found.low == pytest.approx(brentq(excess, -10 * a / b, a / b), rel=1e-4)
    assert found.high == pytest.approx(brentq(excess, a / b, 100 * a / b), rel=1e-4)


def test_nothing_is_said_where_even_the_noise_is_unsure() -> None:
    """A ratio of two figures that may both be 0 has no limit at all."""
    found = fieller(1.0, 0.1, 4.0, 1.0, 0.0, freedom=20)

    assert (found.estimate, found.low, found.high) == (None, None, None)


def test_the_variance_is_split_into_its_parts() -> None:
    """Gradients made of an image's, a timestep's and a noise's part of known variance give the parts back."""
    random = np.random.default_rng(4)
    parameters, batch_size, groups = 400, 4, 256
    parts = {"image": 1.0, "timestep": 2.0, "noise": 7.0}

    def part(name: str) -> Values:
        return np.asarray(random.standard_normal((groups, batch_size, parameters)) * np.sqrt(parts[name]))

    image, timestep = part("image"), part("timestep")
    base, renoised, redrawn = (
        (0.5 + image + step + part("noise")).mean(axis=1) for step in (timestep, timestep, part("timestep"))
    )
    found = noise_split(
        base @ base.T,
        batch_size=batch_size,
        same_image_and_timestep=(base * renoised).sum(axis=1),
        same_image=(base * redrawn).sum(axis=1),
    )

    for bounds, share in ((found.image, 0.1), (found.timestep, 0.2), (found.noise, 0.7)):
        assert bounds.estimate == pytest.approx(share, abs=0.03)
        assert (bounds.low or 0) <= share <= (bounds.high or 0)
    total = sum(bounds.estimate or 0 for bounds in (found.image, found.timestep, found.noise))
    assert total == pytest.approx(1)

"""How many examples and steps a loss takes at a batch size: E(B) = E_min + S_min B, and S(B) = S_min + E_min / B.

It is the hyperbola (S / S_min - 1)(E / E_min - 1) = 1 of McCandlish et al. (arXiv 1812.06162) as a line. Far below
B_crit = E_min / S_min a larger batch needs fewer steps and no more examples; far above it, more examples and no fewer
steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from pytest_sdbatch.analysis.scaling import Bounds

Values: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

DRAWS = 4000  # of the bootstrap: its limits then move by about a fiftieth of the interval
_TAIL = 2.5  # percent on each side


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Examples to the target at one batch size."""

    batch_size: int
    examples: float
    error: float | None = None  # standard error of the mean; None: nothing is known of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """The line through examples to the target by batch size, with 95 % bootstrap limits."""

    fewest_examples: Bounds  # E_min
    fewest_steps: Bounds  # S_min
    critical_batch: Bounds  # B_crit; an estimate of None: examples do not grow with the batch size
    r_squared: float | None  # of the examples; None: two sizes lie on any line
    sizes: tuple[int, ...]
    line: tuple[float, float]  # E_min and S_min as fitted, also where one came out below 0
    _draws: Values | None = field(repr=False, compare=False)

    def examples(self, batch_size: float) -> Bounds:
        """Return the examples to the target at *batch_size*, measured or not."""
        estimate = self.line[0] + self.line[1] * batch_size
        return self._bounds(estimate, None if self._draws is None else self._draws @ np.array([1.0, batch_size]))

    def steps(self, batch_size: float) -> Bounds:
        """Return the steps to the target at *batch_size*, measured or not."""
        found = self.examples(batch_size)
        return Bounds(
            estimate=None if found.estimate is None else found.estimate / batch_size,
            low=None if found.low is None else found.low / batch_size,
            high=None if found.high is None else found.high / batch_size,
        )

    @staticmethod
    def _bounds(estimate: float, draws: Values | None) -> Bounds:
        if draws is None:
            return Bounds(estimate=estimate)
        low, high = np.percentile(draws, [_TAIL, 100 - _TAIL])
        return Bounds(estimate=estimate, low=float(low), high=float(high))


def points_of(examples: Mapping[int, Sequence[float]]) -> tuple[tuple[Point, ...], int]:
    """Return a point for each batch size of seeds that reached the target, and the degrees of freedom of their errors.

    Examples differ between seeds by a share, which is pooled over the sizes. Where no size has two seeds nothing is
    known of it, and the degrees of freedom are 0.

    Known answer: 90 and 90 at size 8, and 200 at 16, are 90 and 200 with errors of 0 and 1 degree of freedom.
    """
    logs = {size: [math.log(value) for value in values] for size, values in sorted(examples.items()) if values}
    means = {size: math.fsum(values) / len(values) for size, values in logs.items()}
    freedom = sum(len(values) - 1 for values in logs.values())
    squares = math.fsum((value - means[size]) ** 2 for size, values in logs.items() for value in values)
    spread = math.sqrt(squares / freedom) if freedom else None
    points = tuple(
        Point(
            batch_size=size,
            examples=math.exp(means[size]),
            error=None if spread is None else math.exp(means[size]) * spread / math.sqrt(len(values)),
        )
        for size, values in logs.items()
    )
    return points, freedom


def fit_law(points: Sequence[Point], *, freedom: int | None = None, draws: int = DRAWS, seed: int = 0) -> Law:
    """Return the line through *points*, each weighted by its error.

    Known answer: 1100, 1200 and 1400 examples at 10, 20 and 40 are E_min = 1000, S_min = 10, B_crit = 100.

    Args:
        points: of at least two batch sizes, in any order.
        freedom: degrees of freedom of the errors; None: they are known. 0: they are not, and no limit is given.
        draws: of the parametric bootstrap.
        seed: of its random numbers: equal points give equal limits.

    Raises:
        ValueError: for fewer than two sizes, or examples that are not finite and above 0.

    """
    ordered = sorted(points, key=lambda point: point.batch_size)
    sizes = tuple(point.batch_size for point in ordered)
    if len(set(sizes)) < 2 or len(set(sizes)) < len(sizes):
        raise ValueError("a line needs two batch sizes, each once")
    if not all(math.isfinite(point.examples) and point.examples > 0 and point.batch_size > 0 for point in ordered):
        raise ValueError("examples and batch sizes are finite and above 0")
    examples = np.array([point.examples for point in ordered])
    errors = _errors(ordered) if freedom != 0 else None
    design = np.stack([np.ones(len(ordered)), np.array(sizes, dtype=float)], axis=1)
    weights = np.ones(len(ordered)) / examples if errors is None else 1 / np.maximum(errors, 1e-9 * examples)
    solve = np.linalg.pinv(design * weights[:, None])
    line = solve @ (examples * weights)
    drawn = None
    if errors is not None:
        random = np.random.default_rng(seed)
        shaken = errors * random.standard_normal((draws, len(ordered)))
        if freedom is not None:
            shaken *= np.sqrt(freedom / random.chisquare(freedom, draws))[:, None]
        drawn = np.asarray(((examples + shaken) * weights) @ solve.T)
    return Law(
        fewest_examples=Law._bounds(float(line[0]), None if drawn is None else drawn[:, 0]),
        fewest_steps=Law._bounds(float(line[1]), None if drawn is None else drawn[:, 1]),
        critical_batch=_critical(line, drawn),
        r_squared=_r_squared(examples, design @ line) if len(sizes) > 2 else None,
        sizes=sizes,
        line=(float(line[0]), float(line[1])),
        _draws=drawn,
    )


def _errors(points: Sequence[Point]) -> Values | None:
    if any(point.error is None for point in points):
        return None
    return np.array([float(point.error or 0.0) for point in points])


def _critical(line: Values, drawn: Values | None) -> Bounds:
    """Return E_min / S_min: infinite where the examples do not grow, 0 where they grow from nothing."""
    estimate = _ratio(line[None, :])[0]
    if drawn is None:
        return Bounds(estimate=_finite(estimate))
    ratios = np.sort(_ratio(drawn))  # sorted: percentiles of infinite values are not to be interpolated
    low = ratios[int(len(ratios) * _TAIL / 100)]
    high = ratios[min(len(ratios) - 1, math.ceil(len(ratios) * (1 - _TAIL / 100)))]
    return Bounds(estimate=_finite(estimate), low=_finite(low), high=_finite(high))


def _ratio(lines: Values) -> Values:
    positive = np.maximum(lines, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(positive[:, 1] > 0, positive[:, 0] / positive[:, 1], np.inf)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _r_squared(values: Values, fitted: Values) -> float:
    total = float(((values - values.mean()) ** 2).sum())
    return 1 - float(((values - fitted) ** 2).sum()) / total if total > 0 else 0.0

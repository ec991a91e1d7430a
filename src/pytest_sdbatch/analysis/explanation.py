"""What grew in a confirmed regression: the cost of a call, or that of an image. Never a hypothesis of its own.

Seconds of a call lie on a line in the batch size b, t(b) = a + c b: a is paid per call, c per image, as ``scaling``
defines them. If the candidate's line is (1 + x) a + (1 + y) c b, case k is slower by w_k x + (1 - w_k) y with
w_k = a / (a + c b_k). Small batches weigh the call, large ones the image, so that the cases of a group tell the two
apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from pytest_sdbatch import units
from pytest_sdbatch.analysis.estimate import Estimate, Locations, student_quantile
from pytest_sdbatch.analysis.sides import Place
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict
from pytest_sdbatch.nouns import GENERATION, TRAINING, Nouns

_WORST_MISFIT = 0.1  # of a case's base time from the line: beyond it a line explains nothing
_LEAST_CONTRAST = 0.05  # of the cases' shares paid per call: below it they do not tell the parts apart
_LARGEST_LOG = 300.0  # its square is a float too
_NO_NOISE = 1e-6  # least standard error: exact readings would weigh infinitely


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the base's time, and how much it grew; the interval is two-sided, 95 %."""

    before_s: float
    change_s: float
    low_s: float
    high_s: float

    @property
    def changed(self) -> bool:
        """Whether the change is beyond chance."""
        return self.low_s > 0 or self.high_s < 0

    def __str__(self) -> str:
        if not self.changed:
            return "the same"
        return f"{units.duration(abs(self.change_s))} {'more' if self.change_s > 0 else 'less'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What grew in a group of cases that differ in batch size and count alone."""

    group: str
    per_call: Part
    per_image: Part
    nouns: Nouns = GENERATION

    def __str__(self) -> str:
        nouns = self.nouns
        return f"{self.group}: each {nouns.call} costs {self.per_call}, each {nouns.image} {self.per_image}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """A case of a group."""

    batch_size: int
    call_s: float  # of the base
    growth: float  # relative, candidate over base
    error: float  # standard error of the growth
    freedom: int


def explain(
    verdicts: Mapping[str, CaseVerdict],
    estimates: Mapping[str, Estimate],
    base: Sequence[Locations],
    design: Mapping[str, tuple[str, int, int]] | None,
) -> tuple[Explanation, ...]:
    """Return an explanation of each group that has a regressed case and whose base times lie on a line.

    Args:
        verdicts: by case id.
        estimates: of the ln-ratios candidate/base.
        base: locations by case of the base's runs.
        design: case id: (group, batch size, batch count).

    """
    groups: dict[str, list[str]] = {}
    for case, (group, _, _) in sorted((design or {}).items()):
        if case in estimates and estimates[case].freedom > 0:
            groups.setdefault(group, []).append(case)
    found = []
    for group, cases in sorted(groups.items()):
        if any(verdicts[case].verdict is Verdict.REGRESSED for case in cases):
            points = [
                _point(estimates[case], [run[case] for run in base if case in run], *(design or {})[case][1:])
                for case in cases
            ]
            found.append(_explain(group, points))
    return tuple(explanation for explanation in found if explanation is not None)


def in_words_of(explanations: Iterable[Explanation], places: Iterable[Place]) -> tuple[Explanation, ...]:
    """Return *explanations* in the words of what their groups are made of."""
    trained = {name for place in places if place.trains for name in place.groups}
    return tuple(replace(one, nouns=TRAINING) if one.group in trained else one for one in explanations)


def _point(estimate: Estimate, base: Sequence[float], batch_size: int, batch_count: int) -> _Point:
    growth = math.exp(min(estimate.mean, _LARGEST_LOG))
    return _Point(
        batch_size=batch_size,
        call_s=math.exp(math.fsum(base) / len(base)) / batch_count,
        growth=growth - 1,
        error=max(growth * estimate.error, _NO_NOISE),
        freedom=estimate.freedom,
    )


def _explain(group: str, points: Sequence[_Point]) -> Explanation | None:
    if len({point.batch_size for point in points}) < 2:
        return None
    from pytest_sdbatch.analysis.scaling import fit_line  # here: NumPy is loaded where there is something to explain

    curve = fit_line([point.batch_size for point in points], [point.call_s for point in points])
    call_s, image_s = curve.call_s, curve.image_s
    line = [curve.seconds(point.batch_size) for point in points]
    misfit = max(abs(fit / point.call_s - 1) for fit, point in zip(line, points, strict=True))
    if call_s <= 0 or image_s <= 0 or misfit > _WORST_MISFIT:
        return None
    shares = [call_s / fit for fit in line]
    if max(shares) - min(shares) < _LEAST_CONTRAST:
        return None
    growths, variances = _solve(
        [(share, 1 - share, point.growth, point.error**-2) for share, point in zip(shares, points, strict=True)]
    )
    reach = student_quantile(min(point.freedom for point in points), 0.975)
    call, image = (
        Part(
            before_s=before,
            change_s=before * growth,
            low_s=before * (growth - reach * math.sqrt(variance)),
            high_s=before * (growth + reach * math.sqrt(variance)),
        )
        for before, growth, variance in zip((call_s, image_s), growths, variances, strict=True)
    )
    return Explanation(group=group, per_call=call, per_image=image)


def _solve(rows: Sequence[tuple[float, float, float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return x, y of the least squares of weight (u x + v y - z)^2 over rows (u, v, z, weight), and their variances.

    Sums over pairs of rows (Cauchy-Binet) do not cancel where weights differ by orders of magnitude.
    """
    pairs = [
        (one, other, one[3] * other[3] * (one[0] * other[1] - other[0] * one[1]))
        for one, other in combinations(rows, 2)
    ]
    scale = math.fsum(weight * (one[0] * other[1] - other[0] * one[1]) for one, other, weight in pairs)
    x = math.fsum(weight * (one[2] * other[1] - other[2] * one[1]) for one, other, weight in pairs) / scale
    y = math.fsum(weight * (one[0] * other[2] - other[0] * one[2]) for one, other, weight in pairs) / scale
    uu, vv = (math.fsum(row[3] * row[column] ** 2 for row in rows) for column in (0, 1))
    return (x, y), (vv / scale, uu / scale)

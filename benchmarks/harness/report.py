"""One line of the report, and the statistics that its lines need."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_sdbatch.analysis.location import interval, trimmed_location, yuen_standard_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One finding: what was measured, what came out, and the goal it is held against."""

    what: str
    figure: str
    goal: str = ""
    met: bool | None = None  # None: there is no goal, or it is not for this machine to meet

    @property
    def verdict(self) -> str:
        """Whether the goal was met, in a word."""
        return {None: "", True: "met", False: "NOT MET"}[self.met]


def ratio_of_pairs(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Return the ratio ours/theirs of readings taken in turn, and its 95 % interval.

    Args:
        ours: n readings, n >= 5.
        theirs: the n readings that were taken right before or after them.

    Source:
        Trimmed mean of the logs of the paired ratios, Yuen's standard error, normal quantile.

    """
    logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    centre, error = trimmed_location(logs), yuen_standard_error(logs)
    return math.exp(centre), math.exp(centre - 1.96 * error), math.exp(centre + 1.96 * error)


def median_and_range(values: Sequence[float], unit: str, *, digits: int = 3) -> str:
    """Return the median of *values* and their smallest and largest, as text."""
    shown = [f"{value:.{digits}g}" for value in (statistics.median(values), min(values), max(values))]
    return f"{shown[0]} {unit} (median of {len(values)}; {shown[1]} to {shown[2]})"


def location(values: Sequence[float], unit: str) -> str:
    """Return the trimmed location of *values* with its 95 % interval, as text."""
    found = interval(values)
    assert found is not None, "a location with an interval needs five values"
    return f"{found.estimate:.3g} {unit} ({found.low:.3g} to {found.high:.3g})"


def to_markdown(title: str, lines: Sequence[Line]) -> str:
    """Return a section of the report."""
    rows = [f"| {line.what} | {line.figure} | {line.goal} | {line.verdict} |" for line in lines]
    return "\n".join([f"## {title}", "", "| what | measured | goal | |", "|---|---|---|---|", *rows, ""])

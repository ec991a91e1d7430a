"""Which choices are not beaten in everything at once."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeAlias, TypeVar

T = TypeVar("T", bound=Hashable)
Limits: TypeAlias = tuple[float, float]  # low and high of a figure that one wants small; equal where it is exact


def pareto_front(choices: Mapping[T, Sequence[Limits]]) -> tuple[T, ...]:
    """Return the keys of *choices* that no other one dominates, in their order.

    One choice dominates another if neither limit of any figure is larger, and one figure is surely smaller: its upper
    limit is below the other's lower one. Intervals that only overlap beat nobody, so noise removes no choice; and since
    the relation is an order, something is always left.

    Known answer: of (1 to 2 s, 5 GiB), (3 to 4 s, 5 GiB) and (1.5 to 2.5 s, 4 GiB) the second one goes.

    Args:
        choices: by key, the limits of each figure, in the same order for all; throughput goes in as seconds per image.

    Raises:
        ValueError: for choices of different numbers of figures, or limits that are NaN or the wrong way round.

    """
    if len({len(figures) for figures in choices.values()}) > 1:
        raise ValueError("the choices have different numbers of figures")
    for key, figures in choices.items():
        for low, high in figures:
            if math.isnan(low) or math.isnan(high) or low > high:
                raise ValueError(f"{key}: {low!r} to {high!r} is no interval")
    # Who goes is dominated by one that stays, and whoever dominates comes before in this order.
    best: dict[T, Sequence[Limits]] = {}
    for key, figures in sorted(choices.items(), key=lambda choice: tuple(choice[1])):
        if not any(_dominates(other, figures) for other in best.values()):
            best[key] = figures
    return tuple(key for key in choices if key in best)


def _dominates(one: Sequence[Limits], other: Sequence[Limits]) -> bool:
    surely = False
    for mine, theirs in zip(one, other, strict=True):
        if mine[0] > theirs[0] or mine[1] > theirs[1]:
            return False
        surely = surely or mine[1] < theirs[0]
    return surely

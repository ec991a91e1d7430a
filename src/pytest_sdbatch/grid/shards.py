"""Shards: which of several machines measures which cases of one grid, so that they end together.

Every machine plans all shards by itself, from the same text and the same stored seconds, and takes its own.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.case import Case

_FORM = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_STEP_OF_TRAINING = 3  # a pass forward and one backward, which costs twice as much

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One of *count* parts of a grid; *number* counts from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str, *, option: str) -> Shard:
    """Return the shard ``2/4``: the second of four.

    Raises:
        OptionError: for anything else.

    """
    found = _FORM.fullmatch(text.strip())
    shard = None if found is None else Shard(number=int(found[1]), count=int(found[2]))
    if shard is None or not 1 <= shard.number <= shard.count:
        raise OptionError(
            f"{option}={text}: no shard",
            why="it is which of how many, and the first is 1" if found else "",
            fix="write 1/4, 2/4, 3/4 and 4/4 on four machines",
        )
    return shard


def work(case: Case, parameters: int | None) -> float:
    """Return what one round of *case* costs, in no unit: pixels made, times steps, times the size of the model.

    Args:
        case: of any kind; a step of training goes backward, too.
        parameters: of its model; None: not known, and all models whose number is not known count as equal.

    """
    made = float(case.images * case.steps * case.height * case.width * (case.frames or 1))
    return made * (parameters or 1_000_000_000) * (1 if case.training is None else _STEP_OF_TRAINING)


def seconds_of(works: Sequence[float], recorded: Sequence[float | None]) -> tuple[float, ...]:
    """Return the seconds of each case: those recorded, else its work at the pace of what was recorded.

    Where nothing was recorded the works themselves are returned: only their ratios count.
    """
    known = [(seconds, cost) for seconds, cost in zip(recorded, works, strict=True) if seconds is not None]
    cost = math.fsum(cost for _, cost in known)
    pace = math.fsum(seconds for seconds, _ in known) / cost if cost else 1.0
    return tuple(
        one_work * pace if seconds is None else seconds for one_work, seconds in zip(works, recorded, strict=True)
    )


def deal(seconds: Iterable[tuple[K, float]], count: int) -> Mapping[K, int]:
    """Return the shard, from 1, of each key: the longest first, each to the shard that has least.

    Of shards that have equally much it is the one with the fewest keys, so that keys of 0 s do not all lie in one.

    Args:
        seconds: of each part of a key, which are never parted; equal keys add up. The order in which keys first appear
            decides among equals.
        count: of shards.

    The longest shard has at most 4/3 of what it has in the best plan (Graham, Bounds on Multiprocessing Timing
    Anomalies, 1969).
    """
    sums: dict[K, list[float]] = {}
    for key, value in seconds:
        sums.setdefault(key, []).append(value)
    totals = {key: math.fsum(values) for key, values in sums.items()}
    least = [(0.0, 0, number) for number in range(1, count + 1)]
    dealt = {}
    for key, total in sorted(totals.items(), key=lambda item: -item[1]):  # stable: equals stay in their order
        taken, keys, number = least[0]
        heapq.heapreplace(least, (taken + total, keys + 1, number))
        dealt[key] = number
    return dealt

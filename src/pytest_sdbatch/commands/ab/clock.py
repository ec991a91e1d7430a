"""The time of a job: what its processes cost, what is made smaller so that it ends in time, whether that is over."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

from pytest_sdbatch import units
from pytest_sdbatch.commands.ab.process import STEPS
from pytest_sdbatch.commands.ab.schedule import Cost, Fit, fit, mean_cost


class Clock:
    """Knows what a process of all cases takes, once one has ended.

    Args:
        deadline_s: ``time.monotonic()`` by which the job ends; None: when it is done.
        fixed_steps: whether the user gave the number of steps.

    """

    def __init__(self, deadline_s: float | None, *, fixed_steps: bool) -> None:
        self.deadline_s = deadline_s
        self._limit_s = None if deadline_s is None else deadline_s - time.monotonic()
        self.steps = None if fixed_steps else STEPS  # of cases that nobody gave a number
        self._costs: dict[str, Cost] = {}  # by side
        self._fitted = deadline_s is None
        self.whole_s: float | None = None  # that the job would take if nothing were made smaller; None: nothing is

    @property
    def cost(self) -> Cost | None:
        """What a process of all cases takes; None: not known yet."""
        return mean_cost(self._costs.values()) if self._costs else None

    def took(self, side: str, cost: Cost, *, whole: bool = True) -> None:
        """Take note of what a process of *side* took, of all cases if *whole*: the last one tells most."""
        before = {} if whole or side not in self._costs else self._costs[side].cases
        self._costs[side] = replace(cost, cases={**before, **cost.cases})

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self.deadline_s is not None and time.monotonic() >= self.deadline_s

    def fits(self, cases: Collection[str] | None) -> bool:
        """Return whether another pair of *cases* (None: all) ends in time, as far as is known."""
        if self.deadline_s is None or self.cost is None:
            return True
        return time.monotonic() + 2 * self.cost.process_s(cases) <= self.deadline_s

    def first_that_fit(self, cases: tuple[str, ...], *, pairs: int) -> tuple[str, ...]:
        """Return so many of the first *cases* that *pairs* of them end in time, as far as is known; of none: all."""
        if self.deadline_s is None or self.cost is None:
            return cases
        left_s = self.deadline_s - time.monotonic()
        fitting = [n for n in range(len(cases), 0, -1) if 2 * pairs * self.cost.process_s(cases[:n]) <= left_s]
        return cases[: fitting[0]] if fitting else cases

    def make_fit(self, seconds: float, *, may_rename: bool) -> Fit:
        """Make the job smaller so that it ends in time, and return by what.

        Done once; after a change of steps, which names the cases anew, once more.

        Args:
            seconds: that the last process took, which is run again if it has to be.
            may_rename: whether no run counts yet, whose cases would have other names.

        """
        if self._fitted:
            return Fit()
        self._fitted = True
        if self.deadline_s is None or self.cost is None:
            return Fit()
        left_s = self.deadline_s - time.monotonic() + seconds
        steps = int(self.steps) if self.steps is not None and may_rename else None
        made = fit(self.cost, left_s=left_s, steps=steps)
        if not made.is_whole and self.whole_s is None:
            self.whole_s = self.cost.expected_s
        if made.steps is not None:
            self.steps, self._fitted = str(made.steps), False
        return made

    def told(self) -> str | None:
        """Return in words what the job takes; None: not known yet."""
        return None if self.cost is None else self.cost.told(self._limit_s)

    def left(self, cases: Collection[str] | None, *, pairs: int) -> str:
        """Return in words what *pairs* more of *cases* (None: all) take; no text where that is not known."""
        if self.cost is None or not pairs:
            return ""
        which = "all cases" if cases is None else units.count(len(cases), "case")
        left = units.time_left(pairs * 2 * self.cost.process_s(cases))
        then = ", then what looks slower or faster" if cases is None else ""
        return f"{units.count(pairs, 'more pair')} of {which}: {left}{then}"

"""How long a job takes, and what fits into a limit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from pytest_sdbatch import units
from pytest_sdbatch.analysis.estimate import FEWEST_PAIRS
from pytest_sdbatch.analysis.screen import SCREENING_PAIRS

LONGEST_PAIRS = 10  # two to screen, eight to confirm
FEWEST_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCost:
    """What a case takes in a process."""

    rounds: int
    round_s: float
    untimed_s: float = 0.0  # warm-up, and the round that reads memory

    @property
    def seconds(self) -> float:
        """Of all that is done for it once its pipeline is there."""
        return self.rounds * self.round_s + self.untimed_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a process takes: seconds of its own (to start and to load), and of each case."""

    own_s: float
    cases: Mapping[str, CaseCost]

    def process_s(self, names: Collection[str] | None = None) -> float:
        """Return the seconds of a process of the cases *names*; None: of all."""
        wanted = self.cases if names is None else {name: self.cases[name] for name in names if name in self.cases}
        return self.own_s + sum(case.seconds for case in wanted.values())

    @property
    def expected_s(self) -> float:
        """Seconds of a job in which one case looks slower and is settled at the first look."""
        mean_s = sum(case.seconds for case in self.cases.values()) / max(1, len(self.cases))
        return 2 * (SCREENING_PAIRS * self.process_s() + FEWEST_PAIRS * (self.own_s + mean_s))

    @property
    def longest_s(self) -> float:
        """Seconds of a job in which every case takes all pairs; more where memory varies and takes pairs of its own."""
        return 2 * LONGEST_PAIRS * self.process_s()

    def told(self, limit_s: float | None) -> str:
        """Return in words what the job takes, which ends after *limit_s* seconds; None: when it is done."""
        expected = f"about {units.duration(self.expected_s)} where {FEWEST_PAIRS} more pairs of one case decide"
        if limit_s is None or self.longest_s <= limit_s:
            cases = units.count(len(self.cases), "case")
            return f"in all {expected}, {units.duration(self.longest_s)} where {LONGEST_PAIRS} pairs of {cases} do"
        limit = f"the {units.duration(limit_s)} that --minutes leaves"
        if self.expected_s <= limit_s:
            return f"in all {expected}, at most {limit}"
        return f"in all {limit}; it would take {expected}"


def cost_of(process_s: float, cases: Mapping[str, CaseCost]) -> Cost:
    """Return the cost of a process that took *process_s* in all."""
    return Cost(own_s=max(0.0, process_s - sum(case.seconds for case in cases.values())), cases=cases)


def mean_cost(costs: Collection[Cost]) -> Cost:
    """Return the mean of the costs of both sides, or of the one that is known; a case counts where it was run."""
    names = dict.fromkeys(name for cost in costs for name in cost.cases)
    found = {name: [cost.cases[name] for cost in costs if name in cost.cases] for name in names}
    return Cost(
        own_s=fmean(cost.own_s for cost in costs),
        cases={
            name: CaseCost(
                rounds=max(case.rounds for case in of),
                round_s=fmean(case.round_s for case in of),
                untimed_s=fmean(case.untimed_s for case in of),
            )
            for name, of in found.items()
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What is made smaller so that a job fits into its time."""

    steps: int | None = None  # None: as it was
    rounds: int | None = None  # most of a case; None: as it was
    left_out: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is."""
        return self == Fit()


def fit(cost: Cost, *, left_s: float, steps: int | None) -> Fit:
    """Return what makes the expected job end within *left_s*: fewer rounds, then fewer steps, then fewer cases.

    Rounds first, because they change nothing of what is measured; cases that are left out are the longest.

    Args:
        cost: of a process of all cases.
        left_s: seconds for the whole job.
        steps: of every case, if they may be fewer; None: they were asked for, and stay.

    """
    if cost.expected_s <= left_s:
        return Fit()
    fewer = _scaled(cost, 1.0)
    if fewer.expected_s <= left_s:
        return Fit(rounds=FEWEST_ROUNDS)
    fitted = Fit(rounds=FEWEST_ROUNDS)
    tried = steps or 1
    while tried > 1 and fewer.expected_s > left_s:
        tried //= 2
        fewer = _scaled(cost, tried / (steps or 1))
        fitted = Fit(rounds=FEWEST_ROUNDS, steps=tried)
    kept = dict(sorted(fewer.cases.items(), key=lambda item: item[1].seconds))
    left_out: list[str] = []
    while len(kept) > 1 and replace(fewer, cases=kept).expected_s > left_s:
        left_out.append(kept.popitem()[0])
    return replace(fitted, left_out=tuple(left_out))


def _scaled(cost: Cost, share: float) -> Cost:
    """Return *cost* with as few rounds as there may be, each *share* as long, and so the warm-up."""
    cases = {
        name: CaseCost(
            rounds=min(case.rounds, FEWEST_ROUNDS), round_s=case.round_s * share, untimed_s=case.untimed_s * share
        )
        for name, case in cost.cases.items()
    }
    return replace(cost, cases=cases)

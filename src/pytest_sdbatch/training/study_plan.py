"""What a learning study is to find out, and the runs that takes: sizes, counts, rates and seeds of each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_sdbatch.analysis.learning_runs import Part, RatePolicy, RunKey, TunedRate
from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.training.datasets import LearningData, parts_of, subset
from pytest_sdbatch.training.ramp import Ramp, rungs_of
from pytest_sdbatch.training.rates import RECORDED, rate_of
from pytest_sdbatch.training.schedules import Constant, Goal, Schedule

DIGITS_TARGET = 0.195
EPOCHS = 40  # examples that a run is given, over the images
TUNING_SEED = 1000  # no seed of a comparison, so that no run is judged by what its rate was chosen on
LOW_COUNT = 4
_RAMP_COUNT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """What is to be found out, and how thoroughly."""

    data: LearningData
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    policy: RatePolicy
    reference: float | None = None  # learning rate at batch size 64, for the policies that scale one
    target: float | None = None  # held-out loss; None: found by a first run
    most_examples: int | None = None  # None: 40 times the images
    tune: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        if max(self.sizes) > self.data.train_count:
            raise OptionError(
                f"a batch of {max(self.sizes)} from {self.data.train_count} images",
                why=f"{self.data.name} has fewer images to train on than one batch takes",
                fix=f"name batch sizes up to {self.data.train_count}: --batch-sizes={self.data.train_count // 16 or 1},"
                f"{self.data.train_count // 4 or 1}",
            )

    @property
    def middle(self) -> int:
        """The size that other runs are compared with."""
        return self.sizes[len(self.sizes) // 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run to be made."""

    key: RunKey
    schedule: Schedule


class Jobs:
    """The runs of *plan*, at the rates that are tuned so far.

    Args:
        plan: what is to be found out.
        most_examples: that a run is given.
        start: the lowest held-out loss before any step.

    """

    def __init__(self, plan: StudyPlan, *, most_examples: int, start: float) -> None:
        self.plan, self.most_examples, self.start = plan, most_examples, start
        self.rates: dict[int, TunedRate] = {}  # by batch size

    def compared(self, target: float) -> Iterator[Job]:
        """Yield what is compared: the table, the ramp, short epochs, and parts of the data where rates are tuned."""
        plan, goal = self.plan, self.goal(target)
        for size, seed in itertools.product(plan.sizes, plan.seeds):
            yield self._constant(Part.TABLE, size, seed, goal)
        for seed in plan.seeds:
            yield self._ramp(seed, goal)
        low = min(LOW_COUNT, math.ceil(plan.data.train_count / plan.middle) // 2)
        for seed in plan.seeds if low else ():  # a single batch is all of the data: there is no lower count
            yield self._constant(Part.COUNT, plan.middle, seed, goal, count=low)
        for name in parts_of(plan.data) if plan.tune else ():
            sizes = (plan.sizes[0], plan.sizes[-1]) if name == "rare" else plan.sizes
            images = subset(plan.data, name).train_count
            for size, seed in itertools.product(sizes, plan.seeds):
                if size <= images:
                    yield self._constant(Part.SUBSET, size, seed, goal, data=name)

    def pilot(self) -> Job:
        """Return the run that finds a target: to the end of its examples."""
        return self._constant(Part.TUNING, self.plan.middle, TUNING_SEED, self.goal(None))

    def trial(self, size: int, rate: float, target: float) -> Job:
        """Return the run that tries a learning rate."""
        schedule = Constant(batch_size=size, rate=rate, goal=self.goal(target))
        return Job(key=RunKey(part=Part.TUNING, batch_size=size, rate=rate, seed=TUNING_SEED), schedule=schedule)

    def goal(self, target: float | None) -> Goal:
        """Return when a run to *target* ends."""
        return Goal(target=target, most_examples=self.most_examples)

    def rates_from(self) -> str:
        """Return where the rates come from, in words."""
        plan = self.plan
        if plan.tune:
            return f"tuned here: the best of rates a factor of 2 apart, on seed {TUNING_SEED}"
        if plan.policy is RatePolicy.TUNED:
            known = ", ".join(map(str, sorted(RECORDED)))
            return f"tuned elsewhere: recorded for digits at {known}, and between these"
        rule = {
            RatePolicy.FIXED: "the same for",
            RatePolicy.SQRT: "by the root of",
            RatePolicy.LINEAR: "in proportion to",
        }
        return f"untuned: {rule[plan.policy]} the batch size, {self._rate(64):.3g} at 64"

    def _rate(self, size: int) -> float:
        """Return the learning rate of a batch size, by what was tuned or by the policy."""
        if self.rates:
            nearest = min(self.rates, key=lambda known: abs(known.bit_length() - size.bit_length()))
            known = self.rates.get(size) or self.rates[nearest]
            return known.rate * math.sqrt(size / known.batch_size)
        return rate_of(self.plan.policy, size, reference=self.plan.reference)

    def _constant(
        self, part: Part, size: int, seed: int, goal: Goal, *, count: int | None = None, data: str = "all"
    ) -> Job:
        rate = self._rate(size)
        schedule = Constant(batch_size=size, rate=rate, goal=goal, batch_count=count)
        key = RunKey(part=part, data=data, batch_size=size, batch_count=count, rate=rate, seed=seed)
        return Job(key=key, schedule=schedule)

    def _ramp(self, seed: int, goal: Goal) -> Job:
        size, images = self.plan.sizes[0], self.plan.data.train_count
        count = min(_RAMP_COUNT, max(1, images // size))
        schedule = Ramp(
            batch_size=size,
            batch_count=count,
            rate_of=self._rate,
            goal=goal,
            rungs=rungs_of(goal.target or self.start, self.start),
            largest=min(8 * size, images),
            images=images,
        )
        key = RunKey(part=Part.RAMP, batch_size=size, batch_count=count, rate=self._rate(size), seed=seed)
        return Job(key=key, schedule=schedule)

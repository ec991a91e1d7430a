"""The gates that are held against each other: ours in both forms, and those of other tools."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from benchmarks.harness.jobs import Job, Run
from pytest_sdbatch.analysis import Config, Decision, Verdict, decide

STORED_RUNS, NEW_RUNS = 5, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a gate said in a job."""

    red: frozenset[str]
    improved: frozenset[str] = frozenset()
    explained: bool = False
    pairs: int = 0


Gate: TypeAlias = Callable[[Job, str], Said]  # of a job and the kind of its change


def interleaved(job: Job, change: str) -> Said:
    """``sdbatch ab``: pairs in the orders AB BA BA AB, BA AB AB BA."""
    order = _orders()

    def more_pairs(cases: tuple[str, ...] | None, number: int) -> list[tuple[Run, Run]]:
        return job.pairs([next(order) for _ in range(number)], cases)

    return _said(decide([], [], more_pairs, Config(design=job.design)), change)


def _orders() -> Iterator[bool]:
    yield from (False, True)  # screening: A B B A
    while True:
        yield from (False, True, True, False, True, False, False, True)


def stored(job: Job, change: str) -> Said:
    """Compare one run with a baseline of 5, and 3 more of the suspects."""
    base, (first, *again) = job.apart(stored=STORED_RUNS, new=NEW_RUNS)
    found = decide(base, [first], None)
    if found.suspects:
        again = [{case: run[case] for case in found.suspects} for run in again]
        found = decide(base, [first, *again], None, Config(design=job.design))
    return _said(found, change)


def _said(found: Decision, change: str) -> Said:
    explained = any(
        (part.per_call.changed, part.per_image.changed) == (change == "overhead", change == "image")
        for part in found.explanations
    )
    return Said(
        red=frozenset(found.cases(Verdict.REGRESSED)),
        improved=frozenset(found.cases(Verdict.IMPROVED)),
        explained=explained,
        pairs=found.pairs_run,
    )


def threshold(statistic: Callable[[Sequence[float]], float], job: Job, _change: str, *, stored_runs: int) -> Said:
    """``mean:5%`` and ``min:5%``: the statistic of one run against that of the stored runs, on average."""
    base, (run,) = job.apart(stored=stored_runs, new=1)
    return Said(
        red=frozenset(
            case
            for case in job.design
            if statistic(run[case]) > 1.05 * statistics.fmean(statistic(before[case]) for before in base)
        )
    )


def mann_whitney(job: Job, _change: str, *, stored_runs: int) -> Said:
    """Slower with p < 0.05, two-sided; the normal approximation, all rounds together."""
    base, (run,) = job.apart(stored=stored_runs, new=1)
    return Said(
        red=frozenset(
            case
            for case in job.design
            if _z([seconds for before in base for seconds in before[case]], run[case]) > 1.959964
        )
    )


def _z(base: Sequence[float], candidate: Sequence[float]) -> float:
    many, few = len(base), len(candidate)
    ranks = np.array([*candidate, *base]).argsort().argsort() + 1
    above = ranks[:few].sum() - few * (few + 1) / 2 - many * few / 2
    return float(above - 0.5) / math.sqrt(many * few * (many + few + 1) / 12)

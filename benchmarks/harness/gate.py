"""How often the gate cries wolf and what it finds, on simulated noise: ``python -m benchmarks.harness.gate``."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from scipy.special import betaincinv

from benchmarks.harness.report import Line, median_and_range, to_markdown
from pytest_sdbatch.analysis import Config, Decision, Verdict, decide

TITLE = "The gate"
JOBS, QUICK_JOBS = 3000, 300
CLEAN = 4  # times as many clean ones: the bound on what is rare needs more jobs than a share of what is not
ROUNDS = 10
SLOWDOWNS = (0.02, 0.05, 0.10)
MOST_RED = 0.01  # of clean jobs, by the upper bound
LEAST_FOUND = {0.05: 0.95, 0.10: 0.99}  # of slow jobs, where processes differ by no more than
PROMISED_UP_TO = 0.011
BETWEEN = (0.0045, 0.011, 0.02, 0.05, 0.20)  # stdev between processes
BATCH_SIZES = (1, 2, 4, 8)  # the cases of a group
HALF_SATURATION = 2.0  # a / c of t(b) = a + c b
DENOISER_SHARE = 0.8

Values: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Run: TypeAlias = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What a machine adds to the true times. All in ln s, so 0.01 is 1 %."""

    between: float  # stdev of processes about their level; half of the variance is shared by all cases of a process
    within: float = 0.006  # of the rounds of a process
    drift: float | None = None  # stdev of a level that all processes share; None: half of *between*
    memory: float = 0.9  # autocorrelation of that level from a process to the next
    slow_clock: float = 0.01  # what a round costs more while the clock is low
    lowered: float = 0.05  # chance of a round to enter that state, and
    raised: float = 0.2  # to leave it
    spikes: float = 0.004  # rounds that something else disturbed
    moved: float = 0.0  # how much slower the machine has become since the baseline was stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A simulated machine with two versions of a program on it."""

    random: np.random.Generator
    noise: Noise
    design: Mapping[str, tuple[str, int, int]]
    growth: Values  # ln of what each case takes more in the candidate

    def processes(
        self, level: float, candidate: Sequence[bool], cases: Sequence[str] | None
    ) -> tuple[list[Run], float]:
        """Return the runs of processes one after the other, and the level that the machine drifted to."""
        noise, random = self.noise, self.random
        columns = [index for index, case in enumerate(self.design) if cases is None or case in cases]
        sides = np.asarray(candidate, dtype=float)
        number, width = len(sides), len(self.design)
        levels = []
        for step in random.standard_normal(number):
            level = noise.memory * level + math.sqrt(1 - noise.memory**2) * step
            levels.append(level)
        half = noise.between * math.sqrt(0.5)
        drift = noise.between / 2 if noise.drift is None else noise.drift
        shared = half * random.standard_normal(number) + drift * np.array(levels)
        logs = shared[:, None] + half * random.standard_normal((number, width)) + sides[:, None] * self.growth
        seconds = np.exp(logs[:, columns, None] + self._rounds(number, len(columns)))
        names = [case for case in self.design if cases is None or case in cases]
        times = np.array([_true_s(self.design[case][1]) for case in names])
        runs: list[Run] = [dict(zip(names, run, strict=True)) for run in (seconds * times[:, None]).tolist()]
        return runs, level

    def _rounds(self, number: int, width: int) -> Values:
        noise, random = self.noise, self.random
        logs = noise.within * random.standard_normal((number, width, ROUNDS))
        chance = random.random((ROUNDS, number, width))
        low = random.random((number, width)) < noise.lowered / (noise.lowered + noise.raised)
        for index in range(ROUNDS):
            low = np.where(low, chance[index] >= noise.raised, chance[index] < noise.lowered)
            logs[..., index] += noise.slow_clock * low
        struck = random.random(logs.shape) < noise.spikes
        return logs + struck * np.log(1 + random.uniform(0.3, 1.0, logs.shape))


def _true_s(batch_size: int) -> float:
    return HALF_SATURATION + batch_size


@dataclass(slots=True)
class Tally:
    """What a gate said in the jobs of one cell."""

    jobs: int = 0
    red: int = 0  # some case regressed
    hit: int = 0  # one that did become slower
    improved: int = 0
    explained: int = 0  # of the hit ones
    pairs: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a gate said in a job."""

    red: frozenset[str]
    improved: bool = False
    explained: bool = False
    pairs: int = 0


Gate: TypeAlias = Callable[[Job, str], Said]


def interleaved(job: Job, change: str) -> Said:
    """``sdbatch ab``: pairs in the orders AB BA BA AB, BA AB AB BA."""
    level = float(job.random.standard_normal())
    order = _orders()

    def more_pairs(cases: tuple[str, ...] | None, number: int) -> list[tuple[Run, Run]]:
        nonlocal level
        flipped = [next(order) for _ in range(number)]
        sides = [side for flip in flipped for side in ((True, False) if flip else (False, True))]
        runs, level = job.processes(level, sides, cases)
        halves = zip(runs[::2], runs[1::2], strict=True)
        return [(two, one) if flip else (one, two) for flip, (one, two) in zip(flipped, halves, strict=True)]

    return _said(decide([], [], more_pairs, Config(design=job.design)), change)


def _orders() -> Iterator[bool]:
    yield from (False, True)  # screening: A B B A
    while True:
        yield from (False, True, True, False, True, False, False, True)


def stored(job: Job, change: str) -> Said:
    """Compare one run with a baseline of 5, and 3 more of the suspects."""
    base, (first, *again) = _apart(job, stored_runs=5, runs=4)
    found = decide(base, [first], None)
    if found.suspects:
        again = [{case: run[case] for case in found.suspects} for run in again]
        found = decide(base, [first, *again], None, Config(design=job.design))
    return _said(found, change)


def _apart(job: Job, *, stored_runs: int, runs: int) -> tuple[list[Run], list[Run]]:
    """Return runs of the base, and of the candidate at another time on a machine that moved."""
    base, _ = job.processes(float(job.random.standard_normal()), [False] * stored_runs, None)
    moved = Job(random=job.random, noise=job.noise, design=job.design, growth=job.growth + math.log1p(job.noise.moved))
    candidate, _ = moved.processes(float(job.random.standard_normal()), [True] * runs, None)
    return base, candidate


def _said(found: Decision, change: str) -> Said:
    explained = any(
        (part.per_call.changed, part.per_image.changed) == (change == "overhead", change == "image")
        for part in found.explanations
    )
    return Said(
        red=frozenset(found.cases(Verdict.REGRESSED)),
        improved=bool(found.cases(Verdict.IMPROVED)),
        explained=explained,
        pairs=found.pairs_run,
    )


def threshold(statistic: Callable[..., Values], job: Job, _change: str, *, stored_runs: int) -> Said:
    """``mean:5%`` and ``min:5%``: the statistic of one run against that of the stored runs, on average."""
    base, candidate = _apart(job, stored_runs=stored_runs, runs=1)
    before = np.mean([statistic(_rounds_of(job, [run]), axis=1) for run in base], axis=0)
    return Said(red=_named(job, statistic(_rounds_of(job, candidate), axis=1) > 1.05 * before))


def mann_whitney(job: Job, _change: str, *, stored_runs: int) -> Said:
    """Slower with p < 0.05, two-sided; the normal approximation, all rounds together."""
    base, candidate = (_rounds_of(job, side) for side in _apart(job, stored_runs=stored_runs, runs=1))
    many, few = base.shape[1], candidate.shape[1]
    ranks = np.concatenate([candidate, base], axis=1).argsort(axis=1).argsort(axis=1) + 1
    above = ranks[:, :few].sum(axis=1) - few * (few + 1) / 2 - many * few / 2
    z = (above - 0.5) / math.sqrt(many * few * (many + few + 1) / 12)
    return Said(red=_named(job, z > 1.959964))


def _rounds_of(job: Job, runs: Sequence[Run]) -> Values:
    """Return seconds by case and round."""
    return np.concatenate([np.array([run[case] for case in job.design]) for run in runs], axis=1)


def _named(job: Job, chosen: Any) -> frozenset[str]:
    return frozenset(case for case, is_chosen in zip(job.design, chosen, strict=True) if is_chosen)


def design_of(cases: int) -> dict[str, tuple[str, int, int]]:
    """Return *cases* cases in groups of four batch sizes."""
    width = len(BATCH_SIZES)
    return {
        f"g{k // width}-b{BATCH_SIZES[k % width]}x1": (f"g{k // width}", BATCH_SIZES[k % width], 1)
        for k in range(cases)
    }


def growth_of(change: str, slowdown: float, design: Mapping[str, tuple[str, int, int]]) -> Values:
    """Return ln of what each case takes more: "case" (one of them), "denoiser", "overhead" or "image" (all of them)."""
    weights = np.array([HALF_SATURATION / _true_s(batch_size) for _, batch_size, _ in design.values()])
    shares = {
        "case": np.arange(len(design)) == len(design) // 2,
        "denoiser": np.full(len(design), DENOISER_SHARE),
        "overhead": weights,
        "image": 1 - weights,
    }
    return np.asarray(np.log1p(slowdown * shares[change]))


def run_cell(gate: Gate, *, cases: int, noise: Noise, jobs: int, change: str = "case", slowdown: float = 0.0) -> Tally:
    """Return what *gate* said in simulated jobs; the same every time."""
    design = design_of(cases)
    growth = growth_of(change, slowdown, design)
    slower = _named_slower(design, growth)
    tally = Tally(jobs=jobs)
    for number in range(jobs):
        random = np.random.default_rng([number, cases, round(noise.between * 1e5), round(slowdown * 1e3)])
        said = gate(Job(random=random, noise=noise, design=design, growth=growth), change)
        tally.red += bool(said.red)
        tally.hit += bool(said.red & slower)
        tally.improved += said.improved
        tally.explained += said.explained and bool(said.red & slower)
        tally.pairs.append(said.pairs)
    return tally


def _named_slower(design: Mapping[str, object], growth: Values) -> frozenset[str]:
    return frozenset(case for case, log in zip(design, growth, strict=True) if log > 0)


def upper_bound(count: int, jobs: int) -> float:
    """Return the upper 95 % Clopper-Pearson bound of a share."""
    return 1.0 if count == jobs else float(betaincinv(count + 1, jobs - count, 0.95))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A gate on a kind of job."""

    what: str
    gate: Gate
    noise: Noise
    cases: int = 12
    change: str = "case"
    promised: bool = False  # the promise is about this gate

    def line(self, jobs: int) -> Line:
        """Simulate clean jobs and each slowdown."""
        clean = run_cell(self.gate, cases=self.cases, noise=self.noise, jobs=CLEAN * jobs)
        slower = [
            run_cell(self.gate, cases=self.cases, noise=self.noise, jobs=jobs, change=self.change, slowdown=slowdown)
            for slowdown in SLOWDOWNS
        ]
        bound = upper_bound(clean.red, clean.jobs)
        figure = [
            f"red {clean.red / clean.jobs:.2%} (at most {bound:.2%})",
            *(f"+{slowdown:.0%} {found.hit / jobs:.1%}" for slowdown, found in zip(SLOWDOWNS, slower, strict=True)),
        ]
        if clean.improved:
            figure.append(f"improved, clean {clean.improved / clean.jobs:.2%}")
        if self.promised:
            figure.append(f"{np.mean(clean.pairs):.1f} pairs, clean")
        if self.change in ("overhead", "image"):
            figure.append(f"named rightly {sum(f.explained for f in slower) / max(1, sum(f.hit for f in slower)):.0%}")
        goal, met = "", None
        if self.promised and jobs >= JOBS:  # fewer cannot tell
            goal, met = f"red at most {MOST_RED:.0%}", bound <= MOST_RED
            if self.change == "case" and self.noise.between <= PROMISED_UP_TO:
                goal += "".join(f", +{slowdown:.0%} {least:.0%}" for slowdown, least in LEAST_FOUND.items())
                found = dict(zip(SLOWDOWNS, slower, strict=True))
                met = met and all(found[slowdown].hit >= least * jobs for slowdown, least in LEAST_FOUND.items())
        return Line(
            what=f"{self.what}, {self.cases} case{'s' * (self.cases > 1)}, {self.noise.between:.2%} between processes",
            figure="; ".join(figure),
            goal=goal,
            met=met,
        )


def cells() -> dict[str, list[Cell]]:
    """Return what is simulated, by a name for the command line."""
    usual = Noise(between=0.011)
    ab = partial(Cell, gate=interleaved, promised=True)
    peers: list[tuple[str, Callable[..., Said]]] = [
        ("mean:5%", partial(threshold, np.mean)),
        ("min:5%", partial(threshold, np.min)),
        ("Mann-Whitney 0.05", mann_whitney),
    ]
    return {
        "ab": [ab(what="`ab`, one case slower", noise=Noise(between=between)) for between in BETWEEN],
        "changes": [
            ab(what=f"`ab`, all cases slower by a change of the {name}", noise=usual, change=change)
            for change, name in (
                ("denoiser", "denoiser"),
                ("overhead", "cost of a call"),
                ("image", "cost of an image"),
            )
        ],
        "sizes": [
            ab(what="`ab`, one case slower", noise=Noise(between=between), cases=cases)
            for cases in (1, 100)
            for between in (0.011, 0.20)
        ],
        "drift": [
            ab(what=f"`ab`, one case slower, {what}", noise=noise)
            for what, noise in (
                ("a level that wanders by 3.3 %", Noise(between=0.011, drift=0.033, memory=0.98)),
                ("no autocorrelation", Noise(between=0.011, memory=0.0)),
                ("rounds without disturbance", Noise(between=0.011, slow_clock=0.0, spikes=0.0)),
            )
        ],
        "stored": [
            Cell(what=f"5 stored runs, {what}", gate=stored, noise=Noise(between=between, moved=moved))
            for between in (0.0045, 0.011, 0.20)
            for what, moved in (("fresh", 0.0), ("1.5 % slower since", 0.015), ("1.5 % faster since", -0.015))
        ]
        + [Cell(what="5 stored runs, fresh, a level that stays", gate=stored, noise=Noise(between=0.20, drift=0.0))],
        "peers": [
            Cell(what=f"`{name}`, {count} stored, {what}", gate=partial(gate, stored_runs=count), noise=noise)
            for name, gate in peers
            for count in (1, 5)
            for what, noise in (("fresh", usual), ("1.5 % slower since", Noise(between=0.011, moved=0.015)))
        ],
    }


def run(jobs: int = JOBS, only: Sequence[str] = ()) -> list[Line]:
    """Simulate, and return the findings."""
    chosen = [cell for name, group in cells().items() if not only or name in only for cell in group]
    return [_price(), *(cell.line(jobs) for cell in chosen)]


def _price(cases: int = 100, runs: int = 9, times: int = 20) -> Line:
    job = Job(
        random=np.random.default_rng(0),
        noise=Noise(between=0.011),
        design=design_of(cases),
        growth=np.zeros(cases),
    )
    base, _ = job.processes(0.0, [False] * 5, None)
    candidate, _ = job.processes(0.0, [False] * (runs - 5), None)
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        decide(base, candidate, None, Config(design=job.design))
        spent.append((time.perf_counter() - start) * 1e3)
    return Line(
        what=f"`decide` on {cases} cases, {runs} stored runs of {ROUNDS} rounds",
        figure=median_and_range(spent, "ms"),
        goal="< 100 ms",
        met=float(np.median(spent)) < 100,
    )


def main() -> int:
    """Print the report; 1 where a goal was not met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness.gate", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"simulated jobs of a cell (default: {JOBS})")
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_JOBS} jobs: too few to hold them against the goals"
    )
    parser.add_argument("--only", choices=list(cells()), action="append", help="these cells (again: several)")
    chosen = parser.parse_args()
    lines = run(QUICK_JOBS if chosen.quick else chosen.jobs, chosen.only or ())
    print(to_markdown(TITLE, lines), flush=True)
    return 1 if any(line.met is False for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())

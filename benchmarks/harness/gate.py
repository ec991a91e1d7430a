"""How often the gate cries wolf and what it finds: ``python -m benchmarks.harness.gate``.

On simulated noise, or with ``--traces FILE`` on processes of a real machine that ``sdbatch calibrate`` kept.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from scipy.special import betaincinv

from benchmarks.harness.contenders import (
    NEW_RUNS,
    STORED_RUNS,
    Gate,
    Said,
    interleaved,
    mann_whitney,
    stored,
    threshold,
)
from benchmarks.harness.jobs import (
    ROUNDS,
    Machine,
    Noise,
    Run,
    Simulated,
    SimulatedJob,
    Traced,
    Values,
    growth_of,
    read_traces,
)
from benchmarks.harness.report import Line, median_and_range, to_markdown
from pytest_sdbatch.analysis import Config, Decision, decide

TITLE = "The gate"
JOBS, QUICK_JOBS = 3000, 300
CLEAN = 4  # times as many clean ones: the bound on what is rare needs more jobs than a share of what is not
SLOWDOWNS = (0.02, 0.05, 0.10)
SPEEDUPS = (-0.05, -0.10)
MOST_RED = 0.01  # of clean jobs, by the upper bound
MOST_IMPROVED = 0.025  # likewise
LEAST_FOUND = {0.05: 0.95, 0.10: 0.99}  # of slow jobs, where processes differ by no more than
PROMISED_UP_TO = 0.011
BETWEEN = (0.0045, 0.011, 0.02, 0.05, 0.20)  # stdev between processes
PEERS: tuple[tuple[str, Callable[..., Said]], ...] = (
    ("mean:5%", partial(threshold, statistics.fmean)),
    ("min:5%", partial(threshold, min)),
    ("Mann-Whitney 0.05", mann_whitney),
)


@dataclass(slots=True)
class Tally:
    """What a gate said in the jobs of one cell."""

    jobs: int = 0
    red: int = 0  # some case regressed
    hit: int = 0  # and it did become slower, or improved, and it did become faster
    improved: int = 0  # some case is faster
    explained: int = 0  # of the hit ones
    pairs: list[int] = field(default_factory=list)


def run_cell(gate: Gate, machine: Machine, *, jobs: int, change: str = "case", slowdown: float = 0.0) -> Tally:
    """Return what *gate* said in jobs on *machine*; the same every time."""
    growth = growth_of(change, slowdown, machine.design)
    changed = _changed(machine.design, growth)
    tally = Tally(jobs=jobs)
    for number in range(jobs):
        said = gate(machine.job(number, growth, _seed(slowdown)), change)
        hit = bool((said.red if slowdown > 0 else said.improved) & changed)
        tally.red += bool(said.red)
        tally.hit += hit
        tally.improved += bool(said.improved)
        tally.explained += said.explained and hit
        tally.pairs.append(said.pairs)
    return tally


def _changed(design: Mapping[str, object], growth: Values) -> frozenset[str]:
    return frozenset(case for case, log in zip(design, growth, strict=True) if log)


def _seed(slowdown: float) -> int:
    """Return a number of its own for each change."""
    return round(abs(slowdown) * 1e3) + (1000 if slowdown < 0 else 0)


def upper_bound(count: int, jobs: int) -> float:
    """Return the upper 95 % Clopper-Pearson bound of a share."""
    return 1.0 if count == jobs else float(betaincinv(count + 1, jobs - count, 0.95))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A gate on a kind of job."""

    what: str
    gate: Gate
    machine: Machine
    change: str = "case"
    promised: bool = False  # the promise is about this gate

    def line(self, jobs: int) -> Line:
        """Run clean jobs, each slowdown, and of what improves each speed-up."""
        clean = run_cell(self.gate, self.machine, jobs=CLEAN * jobs)
        slower = {slowdown: self._run(jobs, slowdown) for slowdown in SLOWDOWNS}
        faster = {speedup: self._run(jobs, speedup) for speedup in SPEEDUPS} if self.promised else {}
        bound = upper_bound(clean.red, clean.jobs)
        figure = [
            f"red {clean.red / clean.jobs:.2%} (at most {bound:.2%})",
            *(f"{change:+.0%} {found.hit / jobs:.1%}" for change, found in (slower | faster).items()),
        ]
        improved = upper_bound(clean.improved, clean.jobs)
        if self.promised or clean.improved:
            figure.append(f"improved, clean {clean.improved / clean.jobs:.2%} (at most {improved:.2%})")
        if self.promised:
            figure.append(f"{np.mean(clean.pairs):.1f} pairs, clean")
        if self.change in ("overhead", "image"):
            right, hit = (sum(getattr(found, name) for found in slower.values()) for name in ("explained", "hit"))
            figure.append(f"named rightly {right / max(1, hit):.0%}")
        goal, met = "", None
        if self.promised and jobs >= JOBS:  # fewer cannot tell
            goal = f"red at most {MOST_RED:.0%}, improved {MOST_IMPROVED:.1%}"
            met = bound <= MOST_RED and improved <= MOST_IMPROVED
            if self.change == "case" and self.machine.between <= PROMISED_UP_TO:
                goal += "".join(f", +{slowdown:.0%} {least:.0%}" for slowdown, least in LEAST_FOUND.items())
                met = met and all(slower[slowdown].hit >= least * jobs for slowdown, least in LEAST_FOUND.items())
        return Line(what=f"{self.what}, {self.machine.words}", figure="; ".join(figure), goal=goal, met=met)

    def _run(self, jobs: int, slowdown: float) -> Tally:
        return run_cell(self.gate, self.machine, jobs=jobs, change=self.change, slowdown=slowdown)


def cells() -> dict[str, list[Cell]]:
    """Return what is simulated, by a name for the command line."""
    usual = Noise(between=0.011)
    ab = partial(Cell, gate=interleaved, promised=True)
    return {
        "ab": [ab(what="`ab`, one case slower", machine=Simulated(noise=Noise(between=x))) for x in BETWEEN],
        "changes": [
            ab(
                what=f"`ab`, all cases slower by a change of the {name}",
                machine=Simulated(noise=Noise(between=between)),
                change=change,
            )
            for change, name in (
                ("denoiser", "denoiser"),
                ("overhead", "cost of a call"),
                ("image", "cost of an image"),
            )
            for between in (0.0045, 0.011, 0.05)
        ],
        "sizes": [
            ab(what="`ab`, one case slower", machine=Simulated(noise=Noise(between=between), cases=cases))
            for cases in (100, 1)  # what takes longest first
            for between in BETWEEN
        ],
        "drift": [
            ab(what=f"`ab`, one case slower, {what}", machine=Simulated(noise=noise))
            for what, noise in (
                ("a level that wanders by 3.3 %", Noise(between=0.011, drift=0.033, memory=0.98)),
                ("a level that wanders by 20 %", Noise(between=0.05, drift=0.20, memory=0.98)),
                ("no autocorrelation", Noise(between=0.011, memory=0.0)),
                ("rounds without disturbance", Noise(between=0.011, slow_clock=0.0, spikes=0.0)),
            )
        ],
        "speeds": [
            ab(
                what=f"`ab`, one case slower, two speeds {apart:.0%} apart",
                machine=Simulated(noise=Noise(between=0.0045, speeds=apart), cases=cases),
            )
            for cases in (100, 12)
            for apart in (0.03, 0.10)
        ],
        "stored": _stored_cells(),
        "peers": [
            Cell(
                what=f"`{name}`, {count} stored, {what}",
                gate=partial(gate, stored_runs=count),
                machine=Simulated(noise=noise),
            )
            for name, gate in PEERS
            for count in (1, STORED_RUNS)
            for what, noise in (("fresh", usual), ("1.5 % slower since", Noise(between=0.011, moved=0.015)))
        ],
    }


def _stored_cells() -> list[Cell]:
    moves = (("fresh", 0.0), ("1.5 % slower since", 0.015), ("1.5 % faster since", -0.015))
    noises = [(what, Noise(between=between, moved=moved)) for between in BETWEEN for what, moved in moves]
    noises.append(("fresh, a level that stays", Noise(between=0.20, drift=0.0)))
    return [
        Cell(what=f"{STORED_RUNS} stored runs, {what}", gate=stored, machine=Simulated(noise=noise))
        for what, noise in noises
    ]


def traced_cells(machine: Traced) -> list[Cell]:
    """Return what is run on recorded processes: ours in both forms, and the peers."""
    return [
        Cell(what="`ab`, one case slower", gate=interleaved, machine=machine, promised=True),
        Cell(what="`ab`, all cases slower", gate=interleaved, machine=machine, change="all", promised=True),
        Cell(what=f"{STORED_RUNS} stored runs", gate=stored, machine=machine),
        *(
            Cell(what=f"`{name}`, {count} stored", gate=partial(gate, stored_runs=count), machine=machine)
            for name, gate in PEERS
            for count in (1, STORED_RUNS)
        ),
    ]


def run(jobs: int = JOBS, only: Sequence[str] = (), traces: Path | None = None) -> list[Line]:
    """Run the jobs on all cores but for what others need, and return the findings."""
    if traces is not None:
        chosen = traced_cells(read_traces(traces, fewest=STORED_RUNS + NEW_RUNS))
    else:
        chosen = [cell for name, group in cells().items() if not only or name in only for cell in group]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), initializer=_be_nice) as pool:
        lines = pool.map(partial(_line, jobs=jobs), chosen, chunksize=1)
    return [*_price(), *lines]


def _line(cell: Cell, *, jobs: int) -> Line:
    return cell.line(jobs)


def _be_nice() -> None:
    if hasattr(os, "nice"):
        os.nice(5)


def _price(cases: int = 100, runs: int = 9) -> list[Line]:
    """Return what deciding costs by itself, in both forms."""
    job = SimulatedJob(
        random=np.random.default_rng(0),
        noise=Noise(between=0.011),
        design=Simulated(noise=Noise(between=0.011), cases=cases).design,
        growth=np.full(cases, 0.05),  # all are suspects, so that every pair there may be is looked at
    )
    base, candidate = job.apart(stored=STORED_RUNS, new=runs - STORED_RUNS)
    pairs = job.pairs([False] * 10, None)
    config = Config(design=job.design)
    forms: dict[str, Callable[[], object]] = {
        f"{runs} stored runs,": lambda: decide(base, candidate, None, config),
        f"{len(pairs)} pairs at hand,": lambda: _decide_on(pairs, config),
    }
    return [_priced(f"`decide` on {cases} cases, {words} {ROUNDS} rounds each", form) for words, form in forms.items()]


def _decide_on(pairs: Sequence[tuple[Run, Run]], config: Config) -> Decision:
    left = iter(pairs)
    return decide([], [], lambda _, number: list(islice(left, number)), config)


def _priced(what: str, action: Callable[[], object], times: int = 20) -> Line:
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        spent.append((time.perf_counter() - start) * 1e3)
    return Line(what=what, figure=median_and_range(spent, "ms"), goal="< 100 ms", met=statistics.median(spent) < 100)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what this part takes."""
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"jobs of a cell of the gate (default: {JOBS})")
    parser.add_argument(
        "--quick", action="store_const", const=QUICK_JOBS, dest="jobs", help="too few to hold them against the goals"
    )
    parser.add_argument("--cells", choices=list(cells()), action="append", help="these of the gate (again: several)")
    parser.add_argument(
        "--traces", type=Path, metavar="FILE", help="hold the gate against what sdbatch calibrate --keep-traces kept"
    )


def main() -> int:
    """Print the report; 1 where a goal was not met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness.gate", description=__doc__)
    add_arguments(parser)
    given = parser.parse_args()
    lines = run(given.jobs, given.cells or (), given.traces)
    print(to_markdown(TITLE, lines), flush=True)
    return 1 if any(line.met is False for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())

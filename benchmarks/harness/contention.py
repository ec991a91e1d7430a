"""Whether work beside a case is noticed, and a quiet machine is not blamed: real cases, with and without busy loops."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, islice

from benchmarks.harness.report import Line, median_and_range
from benchmarks.harness.rounds import CASE
from pytest_sdbatch import units
from pytest_sdbatch.analysis.location import location_s
from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.measure import validity
from pytest_sdbatch.measure.loop import measure
from pytest_sdbatch.measure.stopping import Rules
from pytest_sdbatch.pipelines.anatomy import hide_progress
from pytest_sdbatch.pipelines.catalog import ModelCatalog
from pytest_sdbatch.pipelines.generation import GenerationWorkload
from pytest_sdbatch.pipelines.pool import PipelinePool
from pytest_sdbatch.records import Fact

TITLE = "Other work on the cores"
CASES = 40  # on either side
SIZES = (1, 4, 8)
RULES = Rules(rounds=5, warmup_calls=1)
LOOKED_S = 0.5
# It ends with this process, however that ends.
LOOP = "import os\nparent = os.getppid()\nprint(flush=True)\nwhile os.getppid() == parent: pass"
QUIET = 0.1  # cores in use by others, below which the machine can show that a quiet one is not marked
NOTICED, BLAMED = 0.95, 0.05
SLOWED = 1.2  # from here on a case was disturbed, and not only noise of the machine


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    seconds: float  # per round
    is_marked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """One case, measured three times: without loops, with as many as there are cores, and with one on each core."""

    alone: _Case
    beside: _Case
    crowded: _Case


def run(cases: int = CASES) -> list[Line]:
    """Measure, and return the findings."""
    device = CpuDevice()
    where = device.facts()["must_match"]
    threads, cores = int(where["threads"] or 1), int(where["cores"] or 1)
    pipeline = PipelinePool(device, ModelCatalog()).acquire(CASE).pipeline
    hide_progress(pipeline)
    found: list[_Found] = []
    others: list[float] = []
    for size in islice(cycle(SIZES), cases):
        workload = GenerationWorkload(pipeline, replace(CASE, batch_size=size))
        others.append(cores_in_use(device))
        alone = _measure(workload, device, where)
        with busy(cores):
            beside = _measure(workload, device, where)
        with busy(cores, tied=True):
            crowded = _measure(workload, device, where)
        found.append(_Found(alone=alone, beside=beside, crowded=crowded))
    # Beside loops that the system put on one core the work may have had the other for itself, and was not disturbed.
    slowed = [one.beside for one in found if one.beside.seconds >= SLOWED * one.alone.seconds]
    is_quiet = sum(used < QUIET for used in others) > 0.95 * cases
    where_it_ran = f"{units.count(threads, 'thread')} on {units.count(cores, 'core')}"
    what = f"of {cases} cases of tiny-sd, batch sizes {','.join(map(str, SIZES))}, {where_it_ran}"
    return [
        Line(
            what="cores that others used before the cases without a busy loop",
            figure=median_and_range(others, "cores", digits=2),
            goal=f"< {QUIET} for the next line to mean anything",
        ),
        _marked(f"{what}: marked without a busy loop", [one.alone for one in found], most=BLAMED, says=is_quiet),
        _marked(f"{what}: marked beside a busy loop on each core", [one.crowded for one in found], least=NOTICED),
        Line(
            what=f"of them slowed by {SLOWED - 1:.0%} or more beside loops that may share a core ({cores} of them)",
            figure=f"{len(slowed)} of {cases}",
        ),
        _marked("marked, of those", slowed, least=NOTICED),
    ]


def _marked(what: str, cases: Sequence[_Case], *, least: float = 0.0, most: float = 1.0, says: bool = True) -> Line:
    """Return the share of *cases* that are marked, which is to be *least* or more, or less than *most*."""
    if not cases:
        return Line(what=what, figure="none")
    share = sum(case.is_marked for case in cases) / len(cases)
    return Line(
        what=what,
        figure=f"{share:.1%}" + ("" if says else ", but this machine was not quiet"),
        goal=f">= {least:.0%}" if least else f"< {most:.0%}",
        met=(share >= least if least else share < most) if says else None,
    )


def _measure(workload: GenerationWorkload, device: CpuDevice, where: Mapping[str, Fact]) -> _Case:
    rounds = measure(workload, device, RULES).rounds
    seconds = location_s([one.wall_s for one in rounds])
    return _Case(seconds=seconds, is_marked=validity.contention(rounds, where) is not None)


def cores_in_use(device: CpuDevice) -> float:
    """Return how many cores were in use while this process slept."""
    before, start = device.boundary().machine_cpu_ns.value or 0, time.perf_counter()
    time.sleep(LOOKED_S)
    spent_s = ((device.boundary().machine_cpu_ns.value or 0) - before) / 1e9
    return spent_s / (time.perf_counter() - start)


@contextmanager
def busy(loops: int, *, tied: bool = False) -> Iterator[None]:
    """Let so many processes compute, *tied* each to a core of its own, where the system can do that."""
    started = [subprocess.Popen([sys.executable, "-c", LOOP], stdout=subprocess.PIPE) for _ in range(loops)]
    try:
        if tied and hasattr(os, "sched_setaffinity"):
            for process, core in zip(started, cycle(os.sched_getaffinity(0)), strict=False):
                os.sched_setaffinity(process.pid, {core})
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()  # it runs
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()

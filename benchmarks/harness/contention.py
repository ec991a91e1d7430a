"""Whether work beside a case is noticed, and a quiet machine is not blamed: real cases, with and without busy loops."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, islice

from benchmarks.harness.report import Line, median_and_range
from benchmarks.harness.rounds import CASE
from pytest_sdbatch import units
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


def run(cases: int = CASES) -> list[Line]:
    """Measure, and return the findings."""
    device = CpuDevice()
    where = device.facts()["must_match"]
    threads, cores = int(where["threads"] or 1), int(where["cores"] or 1)
    loops = max(cores - threads + 1, 1)  # one more than leaves each thread its core
    pipeline = PipelinePool(device, ModelCatalog()).acquire(CASE).pipeline
    hide_progress(pipeline)
    beside, alone, others = 0, 0, []
    for size in islice(cycle(SIZES), cases):
        workload = GenerationWorkload(pipeline, replace(CASE, batch_size=size))
        others.append(cores_in_use(device))
        alone += _is_marked(workload, device, where)
        with busy(loops):
            beside += _is_marked(workload, device, where)
    is_quiet = sum(used < QUIET for used in others) > 0.95 * cases
    where_it_ran = f"{units.count(threads, 'thread')} on {units.count(cores, 'core')}"
    what = f"of {cases} cases of tiny-sd, batch sizes {','.join(map(str, SIZES))}, {where_it_ran}"
    return [
        Line(
            what="cores that others used before the cases without a busy loop",
            figure=median_and_range(others, "cores", digits=2),
            goal=f"< {QUIET} for the last line to mean anything",
        ),
        Line(
            what=f"{what}: marked beside {loops} busy loop{'s' * (loops > 1)}",
            figure=f"{beside / cases:.1%}",
            goal=f">= {NOTICED:.0%}",
            met=beside / cases >= NOTICED,
        ),
        Line(
            what=f"{what}: marked without",
            figure=f"{alone / cases:.1%}" + ("" if is_quiet else ", but this machine was not quiet"),
            goal=f"< {BLAMED:.0%}",
            met=alone / cases < BLAMED if is_quiet else None,
        ),
    ]


def _is_marked(workload: GenerationWorkload, device: CpuDevice, where: Mapping[str, Fact]) -> bool:
    return validity.contention(measure(workload, device, RULES).rounds, where) is not None


def cores_in_use(device: CpuDevice) -> float:
    """Return how many cores were in use while this process slept."""
    before, start = device.boundary().machine_cpu_ns.value or 0, time.perf_counter()
    time.sleep(LOOKED_S)
    spent_s = ((device.boundary().machine_cpu_ns.value or 0) - before) / 1e9
    return spent_s / (time.perf_counter() - start)


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Let so many processes compute."""
    started = [subprocess.Popen([sys.executable, "-c", LOOP], stdout=subprocess.PIPE) for _ in range(loops)]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()  # it runs
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()

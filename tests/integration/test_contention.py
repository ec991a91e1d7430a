"""A case that is measured beside other work on its cores is marked, and red by nothing that this may have caused.

A real process keeps the core busy.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from benchmark_run import RunBenchmark
from gated import QUIET, ended, scaled

from pytest_sdbatch import read_run_file
from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.storage.baselines import BaselineFolder, save_baseline
from pytest_sdbatch.storage.names import baseline_key

SPIN = """
    import time
    import numpy as np

    def test_spin(sd_benchmark):
        def spin(batch):
            end = time.perf_counter() + 0.1
            while time.perf_counter() < end:
                pass
            return np.random.default_rng(0).random((batch.size, 8, 8, 3))

        sd_benchmark(spin)
"""

# Of a fixed amount of work, so that it takes longer where it has to wait.
WORK = """
    import numpy as np

    def test_work(sd_benchmark):
        def work(batch):
            sum(range(2_000_000))
            return np.random.default_rng(0).random((batch.size, 8, 8, 3))

        sd_benchmark(work)
"""

# It ends with this process, however that ends.
LOOP = "import os\nparent = os.getppid()\nprint(flush=True)\nwhile os.getppid() == parent: pass"


@pytest.fixture
def busy_core() -> Iterator[None]:
    """Let this process compute on one core with one thread, and another process keep that core busy."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system ties no process to a core")
    threads, cores = torch.get_num_threads(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    torch.set_num_threads(1)
    # It inherits the core, so that neither other cores nor what else they do decide the test.
    loop = subprocess.Popen([sys.executable, "-c", LOOP], stdout=subprocess.PIPE)
    try:
        assert loop.stdout is not None
        loop.stdout.readline()
        yield
    finally:
        loop.kill()
        loop.communicate()
        torch.set_num_threads(threads)
        os.sched_setaffinity(0, cores)


@pytest.mark.usefixtures("busy_core")
def test_a_busy_loop_on_the_core_is_noticed(run_benchmark: RunBenchmark) -> None:
    """The record says how much of the core was free; the table says once not to rely on its rows."""
    result = run_benchmark("--sd-batch-sizes=1,2", "-o", "sd_rounds=5", device=CpuDevice(), source=SPIN)

    assert [record.contention is not None for record in result.records.values()] == [True, True]
    said = str(next(iter(result.records.values())).contention)
    assert "a thread was ready and had no core" in said or "1 thread had 0" in said  # where no scheduler tells
    text = " ".join(result.text.split())
    assert text.count("something else used its cores") == 1
    assert "none of its rows is to be relied on: measure again on a quiet machine" in text


@pytest.mark.slow
@pytest.mark.usefixtures("busy_core", "few_plugins")
def test_waiting_for_a_core_turns_no_gate_red(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """It takes twice as long as in five stored runs, in the fresh processes too: inconclusive, and told why."""
    words = ("--sd-batch-sizes=1", "--sd-device=cpu", "-o", "sd_rounds=5")
    run_benchmark(*words, "--sd-report=now.json", device=CpuDevice(), source=WORK)
    (busy,) = read_run_file(pytester.path / "now.json")
    quiet = replace(busy, records=tuple(replace(record, contention=None) for record in busy.records))
    stored = [scaled(quiet, 0.5 * factor) for factor in QUIET]
    key = baseline_key("main", busy.environment)
    save_baseline(BaselineFolder(path=pytester.path / "benchmarks" / "baselines"), key, stored, anyway=True)

    result = run_benchmark(*words, "--sd-baseline=main", "--sd-gate", device=CpuDevice(), source=WORK)

    status, last = ended(result)
    assert status == 0, result.text
    assert "1 case looks slower than main; again in 3 fresh processes" in result.text
    said = (
        "something else used the cores in runs: measure on a quiet machine; or both versions side by side settle it: "
    )
    assert last.startswith(f"sdbatch: gate: 1 case compared, 1 inconclusive; {said}sdbatch ab --base ")
    said = "time: something else used the cores in 4 of 4 runs of the candidate: measure on a quiet machine, or both"
    assert said in " ".join(result.text.split())


@pytest.mark.usefixtures("busy_core")
def test_waiting_for_a_core_breaks_no_limit(run_benchmark: RunBenchmark) -> None:
    """The gate passes, and its record and row say which limit was not judged."""
    words = ("--sd-batch-sizes=1", "-o", "sd_rounds=5", "-o", "sd_limit=latency:50ms", "--sd-gate")

    result = run_benchmark(*words, device=CpuDevice(), source=SPIN)

    assert ended(result) == (0, "sdbatch: gate: limits alone, of 1 case; no baseline was named")
    assert result.outcomes == {"b1x1": "ok"}
    said = "at most 50.0 ms: not judged, because something else used its cores"
    assert said in " ".join(result.text.split())
    assert said in str(next(iter(result.records.values())).reason)


def test_a_device_that_is_no_cpu_is_not_marked(run_benchmark: RunBenchmark) -> None:
    """What else the cores do does not tell how fast it is."""
    result = run_benchmark("--sd-batch-sizes=1", device=FakeDevice())

    assert [record.contention for record in result.records.values()] == [None]

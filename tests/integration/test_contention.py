"""A case that is measured beside other work on its cores is marked: a real process keeps the core busy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from benchmark_run import RunBenchmark

from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.fake import FakeDevice

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


def test_a_device_that_is_no_cpu_is_not_marked(run_benchmark: RunBenchmark) -> None:
    """What else the cores do does not tell how fast it is."""
    result = run_benchmark("--sd-batch-sizes=1", device=FakeDevice())

    assert [record.contention for record in result.records.values()] == [None]

"""Waiting for a core: read from the scheduler, and from files like its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_sdbatch.devices.run_queue import RunQueue, longest_wait, run_queue


def told(**threads: tuple[float, float]) -> RunQueue:
    """Return that these threads ran and waited for so many seconds."""
    return RunQueue(threads={name: (round(ran * 1e9), round(waited * 1e9)) for name, (ran, waited) in threads.items()})


def write(proc: Path, **threads: str) -> None:
    """Let the kernel tell this of threads t1, t2, ..."""
    for name, text in threads.items():
        task = proc / "self" / "task" / name
        task.mkdir(parents=True)
        (task / "schedstat").write_text(text)


def test_what_each_thread_ran_and_waited_is_read(tmp_path: Path) -> None:
    """Nanoseconds on a core, nanoseconds ready to run, turns; a thread that has ended by now is left out."""
    write(tmp_path, t1="900 50 3\n", t2="100 7 1\n")
    (tmp_path / "self" / "task" / "gone").mkdir()

    assert run_queue(proc=tmp_path) == RunQueue(threads={"t1": (900, 50), "t2": (100, 7)})


@pytest.mark.parametrize("text", ["0 0 0\n", "", "many few\n"])
def test_a_kernel_that_does_not_count_is_no_waiting_of_zero(tmp_path: Path, text: str) -> None:
    """Built without the figures it tells 0 0 0, of a thread that is running."""
    write(tmp_path, t1=text)
    read = run_queue(proc=tmp_path)

    assert read.reason == "the system does not tell how long threads wait for a core"
    assert longest_wait(read, told(a=(1, 0))).reason == longest_wait(told(a=(1, 0)), read).reason == read.reason


def test_a_system_without_proc_says_so(tmp_path: Path) -> None:
    """As on macOS and Windows."""
    assert run_queue(proc=tmp_path / "nothing").reason


def test_the_working_thread_that_waited_longest_holds_the_others_up() -> None:
    """Of two that share the work, one beside a busy loop; what happened before does not count."""
    before = told(a=(5, 2), b=(5, 2))

    assert longest_wait(before, told(a=(6, 2.01), b=(5.5, 2.5))).value == pytest.approx(0.5)


def test_a_thread_that_hardly_ran_holds_nobody_up() -> None:
    """One that wakes a thousand times waits for a core as often, beside others, and the work does not wait for it."""
    before = told(a=(0, 0), b=(0, 0))

    assert longest_wait(before, told(a=(0.9, 0.1), b=(0.001, 1))).value == pytest.approx(0.1)
    assert longest_wait(before, told(a=(1.0, 0.1), b=(0.09, 1))).value == pytest.approx(0.1)
    assert longest_wait(before, told(a=(1.0, 0.1), b=(0.11, 1))).value == pytest.approx(1)


def test_a_thread_that_started_meanwhile_counts_whole() -> None:
    """Also where it has the number of one that ended; what ended is no longer there to be asked."""
    assert longest_wait(told(a=(5, 2)), told(b=(1, 0.25))).value == 0.25
    assert longest_wait(told(a=(5, 2)), told(a=(1, 0.25))).value == 0.25
    assert longest_wait(told(a=(1, 2)), told(a=(5, 0.25))).value == 0.25


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system ties no process to a core")
def test_waiting_beside_a_busy_process_is_read() -> None:
    """Work of 0.2 s on a core that another process keeps busy waits about as long; a tenth of it in any case."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    loop = subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE)
    try:
        assert loop.stdout is not None
        loop.stdout.readline()
        before, until = run_queue(), time.process_time() + 0.2
        while time.process_time() < until:
            pass
        waited = longest_wait(before, run_queue())
    finally:
        loop.kill()
        loop.communicate()
        os.sched_setaffinity(0, cores)
    if waited.value is None:
        pytest.skip(str(waited.reason))

    assert waited.value >= 0.02

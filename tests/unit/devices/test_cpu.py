"""The CPU as a device."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pytest_sdbatch.devices import cpu
from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.host import HostMemory


def test_wall_time_passes_while_sleeping_and_cpu_time_does_not() -> None:
    """Sleeping costs wall seconds only."""
    device = CpuDevice()
    wall, cpu = device.wall_s(), device.cpu_s()
    time.sleep(0.05)

    assert device.wall_s() - wall >= 0.05
    assert device.cpu_s() - cpu < 0.04


def test_marks_are_points_in_time() -> None:
    """The seconds between two marks are those that passed."""
    device = CpuDevice()
    start = device.mark()
    time.sleep(0.02)
    device.synchronize()

    assert 0.02 <= device.seconds_between(start, device.mark()) < 2


def test_there_is_no_allocator_account_and_it_says_so() -> None:
    """Peaks of an allocator are None with a reason; memory means the resident peak."""
    device = CpuDevice()

    for reading in (device.peak_allocated(), device.peak_reserved(), device.peak_unreleasable()):
        assert reading.value is None
        assert reading.reason
    assert device.memory_source == "host_peak_bytes"


def test_memory_of_the_process_is_read() -> None:
    """Used and free bytes are known on every platform."""
    device = CpuDevice()

    assert (device.used_bytes().value or 0) > 1 << 20
    assert (device.free_bytes().value or 0) > 0


def test_peaks_are_those_of_the_memory_it_was_given(tmp_path: Path) -> None:
    """A machine without /proc has no resident peak, and measuring goes on."""
    device = CpuDevice(memory=HostMemory(proc=tmp_path))
    device.reset_peaks()

    assert device.host_peak().value is None
    assert device.host_peak().reason


def test_facts_identify_cpu_threads_and_cores() -> None:
    """What must match are the CPU's name, torch's threads and the cores at hand."""
    facts = CpuDevice().facts()

    assert facts["must_match"]["device_kind"] == "cpu"
    assert facts["must_match"]["threads"] == torch.get_num_threads()
    assert {"device_name", "cores", "matmul_precision"} <= facts["must_match"].keys()


def test_a_quota_must_match_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds a CPU as a power limit holds a GPU; without one nothing is added to what was stored before."""
    monkeypatch.setattr(cpu, "cpu_quota_cores", lambda: None)
    free = CpuDevice().facts()["must_match"]
    monkeypatch.setattr(cpu, "cpu_quota_cores", lambda: 1.5)
    held = CpuDevice().facts()["must_match"]

    assert "cpu_quota_cores" not in free
    assert held == {**free, "cpu_quota_cores": 1.5}


def test_facts_say_why_there_are_no_peaks_of_an_allocator() -> None:
    """Rounds on a CPU lack them, and the reason is the device's: given once, beside a fact that is None."""
    facts = CpuDevice().facts()

    for name in ("peak_allocated_bytes", "peak_reserved_bytes"):
        assert facts["shown"][name] is None
        assert str(facts["unknown"][name]).startswith("torch keeps no account of memory on a CPU")


def test_released_memory_leaves_the_process() -> None:
    """What was freed does not stay resident, so that the next case's peak is its own."""
    device = CpuDevice()
    device.release_memory()
    blocks = [bytearray(b"x") * 60_000 for _ in range(1_000)]  # below the size that the heap maps apart
    held = device.used_bytes().value or 0
    keep = blocks[::100]
    blocks.clear()
    device.release_memory()

    assert len(keep) == 10
    if sys.platform == "linux":
        assert held - (device.used_bytes().value or 0) > 40_000_000


def test_a_cpu_device_starts_without_torch() -> None:
    """Choosing the CPU costs no import of torch, NumPy or psutil."""
    code = (
        "import sys; from pytest_sdbatch.devices.detect import open_device, defaults_for; "
        "device = open_device('cpu'); defaults_for(device); "
        "device.wall_s(); device.synchronize(); device.reset_peaks(); "
        "print(sorted({'torch', 'numpy', 'psutil', 'scipy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_memory_in_use_is_what_is_resident() -> None:
    """20 MiB that are written to are in use, of this process; there is no context to read it around."""
    device = CpuDevice()
    before = device.in_use_bytes().value or 0
    held = bytearray(b"\x01") * (20 << 20)

    assert (device.in_use_bytes().value or 0) - before > 15 << 20
    assert len(held) == 20 << 20
    assert device.memory_scope == "process"
    assert device.start().before.reason == "a CPU has no context"


def test_a_cpu_tells_nothing_between_rounds_and_says_why() -> None:
    """No figure is 0: energy, clocks, heat, errors and neighbours are unknown with their reason."""
    device = CpuDevice()
    told = device.boundary()
    known = ("xids", "machine_cpu_ns", "run_queue")
    figures = [getattr(told, field.name) for field in dataclasses.fields(told) if field.name not in known]
    figures += [device.energy_millijoules(), device.processes().foreign, device.processes().own_bytes]

    assert {figure.value for figure in figures} == {None}
    assert {figure.reason for figure in figures} == {told.xids.reason} == {"a CPU has no driver that tells it"}
    assert device.spills_beyond_bytes().value is None


def test_a_cpu_tells_how_long_its_cores_worked() -> None:
    """0.3 s of work in this process are at least that of the machine's, to the system's steps of 10 ms."""
    device = CpuDevice()
    before, until = device.boundary().machine_cpu_ns.value, device.cpu_s() + 0.3
    while device.cpu_s() < until:
        sum(range(1000))
    after = device.boundary().machine_cpu_ns.value

    assert before is not None
    assert after is not None
    assert after - before >= 0.25e9

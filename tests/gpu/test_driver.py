"""What the driver tells, held against torch and against itself: claims that no machine without a GPU can check."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import torch

from pytest_sdbatch.devices import counters
from pytest_sdbatch.devices.cuda import CudaDevice

MIB = 1 << 20
Note = Callable[[str, object], None]


def load(device: CudaDevice, seconds: float) -> float:
    """Keep the GPU busy for about *seconds*; return how long it was."""
    matrix = torch.randn(8192, 8192, dtype=torch.float16, device=device.name)
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(10):
            matrix = (matrix @ matrix).clamp_(-1, 1)
        device.synchronize()
    return time.perf_counter() - start


def used(device: CudaDevice) -> int:
    """Return the bytes in use as the driver counts them."""
    found = device.driver.memory().used_bytes
    assert found.value is not None, found.reason
    return int(found.value)


def test_the_driver_and_torch_mean_the_same_gpu(device: CudaDevice) -> None:
    """Name and total memory agree, so the UUID or the place on the bus named the right one."""
    properties = torch.cuda.get_device_properties(0)
    identity, memory = device.driver.identity(), device.driver.memory()

    assert identity.name.value is not None, identity.name.reason
    assert properties.name in identity.name.value or identity.name.value in properties.name
    assert memory.total_bytes.value is not None, memory.total_bytes.reason
    assert memory.total_bytes.value == pytest.approx(properties.total_memory, rel=0.05)


def test_what_torch_reserves_is_in_use(device: CudaDevice) -> None:
    """1 GiB that torch takes from the driver shows up there, and is gone again when it is given back."""
    torch.zeros(1, device=device.name)
    before = used(device)
    held = torch.zeros(1024 * MIB, dtype=torch.uint8, device=device.name)
    during = used(device)
    del held
    device.release_memory()

    assert during - before == pytest.approx(1024 * MIB, abs=64 * MIB)
    assert used(device) - before == pytest.approx(0, abs=64 * MIB)


def test_own_memory_is_found_on_the_gpu(device: CudaDevice, record_property: Note) -> None:
    """In a container too: this process's memory is at least what torch reserves, and the step is told."""
    held = torch.zeros(256 * MIB, dtype=torch.uint8, device=device.name)

    device.start()
    found = device.processes()
    record_property("source", found.own_source)

    assert found.own_bytes.value is not None, found.own_bytes.reason
    assert found.own_bytes.value >= torch.cuda.memory_reserved(0) >= held.nbytes


def test_one_read_behind_a_round_is_the_peak(device: CudaDevice, record_property: Note) -> None:
    """With torch's default allocator segments stay: what is in use behind a round equals the most seen during it."""
    seen: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            seen.append(int(device.driver.memory().used_bytes.value or 0))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for size in (64, 512, 128, 1024, 256):
        block = torch.zeros(size * MIB, dtype=torch.uint8, device=device.name)
        device.synchronize()
        time.sleep(0.03)
        del block
    done.set()
    watcher.join()
    behind = used(device)
    record_property("peak_minus_behind_bytes", max(seen) - behind)

    assert behind == pytest.approx(max(seen), abs=8 * MIB)


def test_a_list_of_processes_costs_more_than_a_look_at_memory(device: CudaDevice, record_property: Note) -> None:
    """Hence the list is taken twice a memory round, and memory every few milliseconds."""

    def seconds(action: Callable[[], object]) -> float:
        start = time.perf_counter()
        for _ in range(20):
            action()
        return (time.perf_counter() - start) / 20

    torch.zeros(1, device=device.name)
    listing, memory = seconds(device.driver.processes), seconds(device.driver.memory)
    boundary = seconds(device.driver.read_boundary)
    record_property("list_us", listing * 1e6)
    record_property("memory_us", memory * 1e6)
    record_property("boundary_us", boundary * 1e6)

    assert memory < listing
    assert memory < 0.002


def test_energy_and_clock_events_are_in_the_units_we_read(device: CudaDevice, record_property: Note) -> None:
    """Two seconds of full load: watts are possible ones, and no clock event lasts longer than the load itself."""
    load(device, 0.5)
    limit = device.driver.power_limit_watts().value
    before = device.driver.read_boundary()
    spent_s = load(device, 2.0)
    after = device.driver.read_boundary()
    found = counters.between(before, after)
    record_property("interval", repr(found))
    record_property("seconds", spent_s)

    if found.energy_joules.value is not None and limit is not None:
        assert 0.05 * limit < found.energy_joules.value / spent_s < 1.2 * limit
    for event in (found.sw_power_cap_s, found.sw_thermal_s, found.hw_thermal_s, found.hw_power_brake_s):
        assert event.value is None or 0 <= event.value <= 1.1 * spent_s
    # Under a power cap the share of time is not tiny: a counter of microseconds read as nanoseconds would be.
    cap = found.sw_power_cap_s.value
    assert not cap or cap > 1e-3 * spent_s


def test_asking_torch_for_the_gpu_makes_no_context(record_property: Note) -> None:
    """How much the first look at the GPU costs is noted: what is read before CUDA starts depends on it."""
    import subprocess
    import sys

    code = (
        "import torch; from pytest_sdbatch.devices.cuda import CudaDevice; "
        "device = CudaDevice(0); first = device.driver.memory().used_bytes.value; "
        "torch.zeros(1, device=device.name); print(device.driver.memory().used_bytes.value - first)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    record_property("context_bytes_after_the_first_look", int(done.stdout))

    # Otherwise the look itself would make the context, and nothing could be read before it.
    assert int(done.stdout) > 100 * MIB

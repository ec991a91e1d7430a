"""The CPU as a device: work is done when a call returns, and memory is what is resident."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from dataclasses import replace

from pytest_sdbatch.devices import host
from pytest_sdbatch.devices.control_groups import cpu_quota_cores
from pytest_sdbatch.devices.counters import Boundary
from pytest_sdbatch.devices.device import ContextMemory, Processes
from pytest_sdbatch.devices.gpu import Xids
from pytest_sdbatch.devices.out_of_memory import says_out_of_memory
from pytest_sdbatch.devices.run_queue import run_queue
from pytest_sdbatch.records import Fact, Reading

_NO_ALLOCATOR = "torch keeps no account of memory on a CPU; see host_peak_bytes"
_NO_CONTEXT = ContextMemory(before=Reading(reason="a CPU has no context"), after=Reading(reason="a CPU has no context"))
_NO_DRIVER = Reading(reason="a CPU has no driver that tells it")
_SILENT = Boundary(
    energy_millijoules=_NO_DRIVER,
    sw_power_cap_ns=_NO_DRIVER,
    sw_thermal_ns=_NO_DRIVER,
    hw_thermal_ns=_NO_DRIVER,
    hw_power_brake_ns=_NO_DRIVER,
    temperature_celsius=_NO_DRIVER,
    sm_clock_mhz=_NO_DRIVER,
    ecc_uncorrected=_NO_DRIVER,
    xids=Xids(reason=_NO_DRIVER.reason),
)


class CpuDevice:
    """Pipelines on the processor. See :class:`pytest_sdbatch.devices.device.Device`.

    Args:
        memory: reads this process's memory; given in tests.

    """

    name = "cpu"
    kind = "cpu"
    memory_source = "host_peak_bytes"
    lease_name = None
    memory_scope = "process"

    def __init__(self, *, memory: host.HostMemory | None = None) -> None:
        self._memory = memory or host.HostMemory()

    def breakdown(self) -> None:
        """Return None: an error leaves a CPU as it was."""

    def start(self) -> ContextMemory:
        """Return that there is nothing to start."""
        return _NO_CONTEXT

    def wall_s(self) -> float:
        """Return ``time.perf_counter()``."""
        return time.perf_counter()

    def cpu_s(self) -> float:
        """Return ``time.process_time()``: user and system time of all threads."""
        return time.process_time()

    def synchronize(self) -> None:
        """Do nothing: a CPU call returns when its work is done."""

    def mark(self) -> float:
        """Return a clock reading, seconds."""
        return time.perf_counter()

    def seconds_between(self, start: float, end: float) -> float:
        """Return the seconds from one mark to a later one."""
        return end - start

    def reset_peaks(self) -> None:
        """Forget the resident high-water mark."""
        self._memory.reset_peak()

    def peak_allocated(self) -> Reading:
        """Return why there is no such figure."""
        return Reading(reason=_NO_ALLOCATOR)

    def peak_reserved(self) -> Reading:
        """Return why there is no such figure."""
        return Reading(reason=_NO_ALLOCATOR)

    def peak_unreleasable(self) -> Reading:
        """Return why there is no such figure."""
        return Reading(reason=_NO_ALLOCATOR)

    def host_peak(self) -> Reading:
        """Return the resident high-water mark since the reset, bytes."""
        return self._memory.peak()

    def used_bytes(self) -> Reading:
        """Return the resident bytes of this process."""
        return self._memory.resident()

    def in_use_bytes(self) -> Reading:
        """Return the resident bytes of this process."""
        return self._memory.resident()

    def spills_beyond_bytes(self) -> Reading:
        """Return that there is no such limit."""
        return Reading(reason="a CPU has no memory of its own")

    def boundary(self) -> Boundary:
        """Return how long the cores worked, for whomever, and threads waited for one; why nothing else is known."""
        return replace(_SILENT, machine_cpu_ns=host.machine_cpu_ns(), run_queue=run_queue())

    def energy_millijoules(self) -> Reading:
        """Return why it is not known."""
        return _NO_DRIVER

    def processes(self) -> Processes:
        """Return why nothing is known: every process of the machine uses its CPU."""
        return Processes(own_bytes=_NO_DRIVER, foreign=_NO_DRIVER)

    def free_bytes(self) -> Reading:
        """Return the bytes the machine, or this process's control group, has left."""
        return self._memory.available()

    def release_memory(self) -> None:
        """Collect garbage and give free heap pages back to the system."""
        gc.collect()
        host.return_free_heap()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether *error* says that the host's memory ran out."""
        return says_out_of_memory(error)

    def facts(self) -> Mapping[str, Mapping[str, Fact]]:
        """Return CPU, threads and cores, which must match, and how torch was built."""
        import torch

        model, quota = host.cpu_model(), cpu_quota_cores()
        unknown: dict[str, Fact] = dict.fromkeys(("peak_allocated_bytes", "peak_reserved_bytes"), _NO_ALLOCATOR)
        return {
            "must_match": {
                "device_kind": self.kind,
                "device_name": model,
                "threads": torch.get_num_threads(),
                "cores": host.cpu_cores(),
                # As a power limit holds a GPU. Left out where there is none: what was stored without stays comparable.
                **({} if quota is None else {"cpu_quota_cores": quota}),
                "matmul_precision": torch.get_float32_matmul_precision(),
            },
            "drift": {},
            "shown": {"cpu_capability": torch.backends.cpu.get_cpu_capability(), **dict.fromkeys(unknown)},
            "unknown": unknown if model else {**unknown, "device_name": "the system does not tell the CPU's model"},
        }

"""A CUDA (or ROCm) GPU as a device: work is queued, events take its time, torch's allocator keeps its account."""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_sdbatch.devices import host
from pytest_sdbatch.devices.control_groups import cpu_quota_cores
from pytest_sdbatch.devices.counters import Boundary
from pytest_sdbatch.devices.device import Breakdown, ContextMemory, Processes
from pytest_sdbatch.devices.nvml import NvmlGpu, open_gpu
from pytest_sdbatch.devices.out_of_memory import says_out_of_memory
from pytest_sdbatch.devices.process_memory import OwnRow, memory_of, others
from pytest_sdbatch.records import Fact, Reading

# What libraries say when their own allocation fails; torch turns it into RuntimeError, not OutOfMemoryError.
GPU_WORDS = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "cudaErrorMemoryAllocation",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "CUFFT_ALLOC_FAILED",
    "HIP out of memory",
    "HIP error: out of memory",
    "HIPBLAS_STATUS_ALLOC_FAILED",
    "miopenStatusAllocFailed",
)

# CUDA's words for a GPU that is gone, not only for this process: cudaErrorNoDevice, ...DevicesUnavailable, ...ECC.
_LOST_WORDS = ("no CUDA-capable device", "busy or unavailable", "uncorrectable ECC error", "has fallen off the bus")


class CudaDevice:
    """Pipelines on one GPU. See :class:`pytest_sdbatch.devices.device.Device`.

    Args:
        index: as torch counts, after CUDA_VISIBLE_DEVICES.

    """

    kind = "cuda"
    memory_source = "peak_allocated_bytes"
    memory_scope = "device"

    def __init__(self, index: int) -> None:
        import torch

        self.name = f"cuda:{index}"
        self._index = index
        self._torch: Any = torch
        self._memory = host.HostMemory()
        self._context: ContextMemory | None = None
        self._own: OwnRow | None = None  # how the driver lists this process; None before it has a context

    def start(self) -> ContextMemory:
        """Make this process's context on the GPU; return the memory of the GPU before and after."""
        if self._context is None:
            before = None if self._has_context() else self.driver.footing()
            self.synchronize()  # makes the context
            self._own = self.driver.find_own(before, probe=self._probe)
            late = Reading(reason="this process had started CUDA before the plugin could look")
            self._context = ContextMemory(
                before=late if before is None else before.memory.used_bytes, after=self.driver.memory().used_bytes
            )
        return self._context

    def _has_context(self) -> bool:
        """Return whether this process has a context on the GPU; torch has no public way to ask."""
        ask = getattr(self._torch._C, "_cuda_hasPrimaryContext", None)
        return ask is not None and bool(ask(self._index))

    @contextlib.contextmanager
    def _probe(self, size_bytes: int) -> Iterator[None]:
        """Hold memory of the GPU that the allocator did not have before."""
        self.release_memory()
        held = self._torch.empty(size_bytes, dtype=self._torch.uint8, device=self.name)
        try:
            yield
        finally:
            del held
            self.release_memory()

    @property
    def lease_name(self) -> str | None:
        """The UUID of the GPU or MIG instance, whatever its index is for whom; else its place on the bus, or index."""
        place = pci_bus_id_of(self._torch.cuda.get_device_properties(self._index))
        return f"gpu-{self._uuid or (place or str(self._index)).replace(':', '-')}"

    @property
    def _uuid(self) -> str | None:
        properties = self._torch.cuda.get_device_properties(self._index)
        return uuid_of(properties, visible=os.environ.get("CUDA_VISIBLE_DEVICES", ""))

    def breakdown(self) -> Breakdown | None:
        """Return the error of a trivial computation: one that poisoned the context comes back from every call."""
        try:
            self._torch.cuda.synchronize(self._index)
            self._torch.ones(1, device=self.name).add_(1).item()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            if self.is_out_of_memory(error):
                return None
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            self.driver.memory()  # so that the driver is asked whether the GPU is there at all
            return Breakdown(reason=said, lost=self.driver.lost or any(word in said for word in _LOST_WORDS))
        return None

    def wall_s(self) -> float:
        """Return ``time.perf_counter()``."""
        return time.perf_counter()

    def cpu_s(self) -> float:
        """Return ``time.process_time()``: user and system time of all threads."""
        return time.process_time()

    def synchronize(self) -> None:
        """Wait until every stream of the GPU is idle."""
        self._torch.cuda.synchronize(self._index)

    def mark(self) -> Any:
        """Queue an event on the current stream."""
        event = self._torch.cuda.Event(enable_timing=True)
        event.record(self._torch.cuda.current_stream(self._index))
        return event

    def seconds_between(self, start: Any, end: Any) -> float:
        """Return the seconds from one event to a later one; resolution about half a microsecond."""
        return float(start.elapsed_time(end)) / 1000.0

    def reset_peaks(self) -> None:
        """Forget the allocator's peaks and the host's resident high-water mark."""
        self._torch.cuda.reset_peak_memory_stats(self._index)
        self._memory.reset_peak()

    def peak_allocated(self) -> Reading:
        """Return the peak of live tensor bytes since the reset."""
        return Reading(value=int(self._torch.cuda.max_memory_allocated(self._index)))

    def peak_reserved(self) -> Reading:
        """Return the peak of allocator segments since the reset, bytes; it depends on history."""
        return Reading(value=int(self._torch.cuda.max_memory_reserved(self._index)))

    def peak_unreleasable(self) -> Reading:
        """Return the peak since the reset of unused bytes in segments that hold live tensors too.

        torch calls them inactive splits, and "non-releasable" in its summary: what else it holds unused it gives back
        before a request fails.
        """
        cuda = self._torch.cuda
        if cuda.get_allocator_backend() != "native":  # the driver's own keeps no such count: torch would tell 0
            return Reading(reason=f"the allocator {cuda.get_allocator_backend()} does not tell it")
        return Reading(value=int(cuda.memory_stats(self._index).get("inactive_split_bytes.all.peak", 0)))

    def host_peak(self) -> Reading:
        """Return the host's resident high-water mark since the reset, bytes."""
        return self._memory.peak()

    def used_bytes(self) -> Reading:
        """Return the bytes of live tensors."""
        return Reading(value=int(self._torch.cuda.memory_allocated(self._index)))

    def in_use_bytes(self) -> Reading:
        """Return the memory of the GPU that the driver says is in use, by all processes."""
        return self.driver.memory().used_bytes

    def spills_beyond_bytes(self) -> Reading:
        """Return the memory of the GPU on Windows and under WSL, where the driver goes on in the host's."""
        if not host.drivers_spill():
            return Reading(reason="here the driver fails instead of moving memory to the host's")
        return self.driver.memory().total_bytes

    def boundary(self) -> Boundary:
        """Return energy, clocks, heat and errors as the driver tells them."""
        return self.driver.read_boundary()

    def energy_millijoules(self) -> Reading:
        """Return the energy taken since the driver was loaded."""
        return self.driver.energy_millijoules()

    def processes(self) -> Processes:
        """Return what this process holds of the GPU, and how many others have a context there."""
        listed = self.driver.processes()
        if listed.reason is not None:
            return Processes(own_bytes=Reading(reason=listed.reason), foreign=Reading(reason=listed.reason))
        if self._own is None:
            none = Reading(reason="this process has no context on the GPU yet")
            return Processes(own_bytes=none, foreign=Reading(value=len(listed.processes)))
        held = memory_of(self._own, listed, self.driver.memory())
        return Processes(
            own_bytes=held.used_bytes,
            own_source=held.step.value,
            foreign=Reading(value=others(self._own, listed).at_least),
        )

    def free_bytes(self) -> Reading:
        """Return the bytes the driver has left, and those that the allocator holds but does not use.

        No more than ``torch.cuda.set_per_process_memory_fraction`` grants this process.
        """
        if self._context is None and not self._has_context():  # asking torch would make one
            return self.driver.memory().free_bytes
        free, total = self._torch.cuda.mem_get_info(self._index)
        granted = self._torch.cuda.get_per_process_memory_fraction(self._index) * total
        ours = min(free + self._torch.cuda.memory_reserved(self._index), granted)
        return Reading(value=max(int(ours - self._torch.cuda.memory_allocated(self._index)), 0))

    def release_memory(self) -> None:
        """Collect garbage and give the allocator's unused segments back to the driver.

        After an error that poisoned the context nothing can be given back, and whoever frees a pipeline then must not
        fail over it: the error was raised by the call that met it, and :meth:`breakdown` tells it.
        """
        gc.collect()
        with contextlib.suppress(RuntimeError), self._torch.cuda.device(self._index):
            self._torch.cuda.empty_cache()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether *error* says that memory of the GPU or the host ran out, in torch or a library under it."""
        return says_out_of_memory(error, words=GPU_WORDS)

    @functools.cached_property
    def driver(self) -> NvmlGpu:
        """What the driver knows of this GPU; opened when it is first asked for."""
        if self._torch.version.hip is not None:
            return NvmlGpu(None, unavailable="NVML is NVIDIA's; this is an AMD GPU")
        properties = self._torch.cuda.get_device_properties(self._index)
        return open_gpu(uuid=self._uuid, pci_bus_id=pci_bus_id_of(properties))

    def facts(self) -> Mapping[str, Mapping[str, Fact]]:
        """Return what identifies the GPU, the flags that change its arithmetic, and the versions under torch."""
        torch = self._torch
        properties = torch.cuda.get_device_properties(self._index)
        uuid = self._uuid
        rocm = torch.version.hip is not None
        # The settings since torch 2.9; reading the older allow_tf32 raises once a program has set a new one.
        matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn.conv
        driver = self.driver.facts()
        unknown = dict(driver["unknown"])
        if uuid is None:
            unknown["device_uuid"] = "this build of torch does not tell it"
        quota = cpu_quota_cores()
        return {
            "must_match": {
                "device_kind": self.kind,
                "device_name": properties.name,
                "device_uuid": hashlib.sha256(uuid.encode()).hexdigest()[:8] if uuid is not None else None,
                "matmul_fp32_precision": matmul.fp32_precision,
                "convolution_fp32_precision": convolution.fp32_precision,
                "cudnn_enabled": torch.backends.cudnn.enabled,
                "cudnn_benchmark": torch.backends.cudnn.benchmark,
                "cudnn_deterministic": torch.backends.cudnn.deterministic,
                "reduced_precision_fp16": _text(matmul.allow_fp16_reduced_precision_reduction),
                "reduced_precision_bf16": _text(matmul.allow_bf16_reduced_precision_reduction),
                **driver["must_match"],
            },
            "drift": {
                "gpu_platform": "rocm" if rocm else "cuda",
                "gpu_runtime": torch.version.hip if rocm else torch.version.cuda,
                "cudnn": torch.backends.cudnn.version(),
                **driver["drift"],
            },
            "shown": {
                "device_memory_bytes": int(properties.total_memory),
                "multiprocessors": properties.multi_processor_count,
                "compute_capability": f"{properties.major}.{properties.minor}",
                "cpu_model": host.cpu_model(),
                "cores": host.cpu_cores(),
                **({} if quota is None else {"cpu_quota_cores": quota}),
                "threads": torch.get_num_threads(),
                **driver["shown"],
            },
            "unknown": unknown,
        }


def uuid_of(properties: Any, *, visible: str) -> str | None:
    """Return the UUID by which the driver knows a GPU.

    Args:
        properties: as torch has them; their UUID lacks the prefix ``GPU-``.
        visible: the value of CUDA_VISIBLE_DEVICES. A MIG instance is made visible by its own UUID, and CUDA takes only
            the first; what torch tells of it may be its parent's.

    """
    if visible.startswith("MIG-"):
        return visible.partition(",")[0]
    uuid = getattr(properties, "uuid", None)
    return str(uuid) if uuid is not None else None


def pci_bus_id_of(properties: Any) -> str | None:
    """Return where the GPU sits, as NVML writes it: ``00000000:65:00.0``; None where this torch does not tell it."""
    try:
        domain, bus, slot = properties.pci_domain_id, properties.pci_bus_id, properties.pci_device_id
    except AttributeError:
        return None
    return f"{domain:08x}:{bus:02x}:{slot:02x}.0"


def _text(flag: object) -> str:
    """Return a flag that some releases of torch give as a bool and some as a pair of them."""
    return str(flag)

"""The GPU as a device: what can be said without one, and what a real one must do."""

from __future__ import annotations

import contextlib
import json
from types import SimpleNamespace

import pytest
import torch
from nvml_shim import gpu
from nvml_shim.fixtures import MakeShim

from pytest_sdbatch.devices.cuda import CudaDevice, pci_bus_id_of, uuid_of
from pytest_sdbatch.devices.nvml import NvmlGpu

# The part of torch that needs a GPU, for a GPU that only the driver's stand-in knows.
FACTS = """
import json, types, torch
torch.cuda.get_device_properties = lambda index: types.SimpleNamespace(
    name="Card", uuid="22", total_memory=1, multi_processor_count=1, major=9, minor=0
)
from pytest_sdbatch.devices.cuda import CudaDevice
print(json.dumps(CudaDevice(1).facts()))
"""

# A process that starts using such a GPU; the calls of torch that need one do nothing.
START = """
import dataclasses, json, os, sys, types, torch
torch.cuda.get_device_properties = lambda index: types.SimpleNamespace(uuid="22")
torch.cuda.synchronize = lambda index: None
torch._C._cuda_hasPrimaryContext = lambda index: sys.argv[1] == "late"
from pytest_sdbatch.devices.cuda import CudaDevice
device = CudaDevice(1)
device._probe = None
unstarted = device.processes()
context = device.start()
told = [unstarted, context, device.start(), device.processes(), device.in_use_bytes(), device.energy_millijoules()]
print(json.dumps([dataclasses.asdict(one) for one in told] + [device.boundary().sm_clock_mhz.value]))
"""


def known(value: int) -> dict[str, int | None]:
    """Return a Reading as the child prints it."""
    return {"value": value, "reason": None}


def test_starting_reads_the_memory_before_and_after_the_context(nvml_shim: MakeShim) -> None:
    """Our process is told from the one that was there, by appearing; its bytes and the other's presence are known."""
    before, both = "77:1000000000", "77:1000000000 88:600000000"
    card = gpu("GPU-22", used=[10**9, 16 * 10**8], processes=[before, before, both], energy=[5_000], sm_clock=[1500])
    unstarted, context, again, processes, in_use, energy, clock = json.loads(
        nvml_shim(gpu("GPU-11"), card).python("-c", START, "early")
    )

    assert unstarted["foreign"] == known(1)
    assert unstarted["own_bytes"]["reason"] == "this process has no context on the GPU yet"
    assert context == again == {"before": known(10**9), "after": known(16 * 10**8)}
    assert processes == {"own_bytes": known(6 * 10**8), "own_source": "appeared", "foreign": known(1)}
    assert (in_use, energy, clock) == (known(16 * 10**8), known(5_000), 1500)


def test_a_context_that_was_there_before_is_said(nvml_shim: MakeShim) -> None:
    """A conftest that loads its pipeline first: what was in use before it is not known, and not 0."""
    answers = json.loads(nvml_shim(gpu("GPU-22")).python("-c", START, "late"))

    assert answers[1]["before"] == {
        "value": None,
        "reason": "this process had started CUDA before the plugin could look",
    }
    assert answers[1]["after"]["value"] is not None


def test_without_a_driver_every_figure_has_its_reason(nvml_shim: MakeShim) -> None:
    """Starting works all the same."""
    shim = nvml_shim(gpu("GPU-22"), fail=["nvmlInitWithFlags 9 1"])
    unstarted, context, _, processes, in_use, energy, clock = json.loads(shim.python("-c", START, "early"))
    figures = [unstarted["foreign"], *context.values(), processes["foreign"], processes["own_bytes"], in_use, energy]

    assert {figure["value"] for figure in figures} == {clock} == {None}
    assert all("driver is not loaded" in figure["reason"] for figure in figures)


def test_asking_what_is_free_makes_no_context(nvml_shim: MakeShim) -> None:
    """Before there is one the driver is asked, and not torch, which would make it."""
    program = """
import types, torch
torch.cuda.get_device_properties = lambda index: types.SimpleNamespace(uuid="22")
torch._C._cuda_hasPrimaryContext = lambda index: False
from pytest_sdbatch.devices.cuda import CudaDevice
print(CudaDevice(1).free_bytes().value)
"""
    card = gpu("GPU-22", total=[8 * 10**9], used=[10**9], free=[7 * 10**9])

    free = int(nvml_shim(gpu("GPU-11"), card).python("-c", program))

    assert free == 7 * 10**9


@pytest.mark.parametrize(("fraction", "free"), [(1.0, 7), (0.5, 3), (0.05, 0)])
def test_what_is_free_ends_at_what_the_process_was_granted(
    fraction: float, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 10 GB 6 are free, and of the 3 that the allocator holds 1 is not used; another process has the last one."""
    gb = 10**9
    for name, value in {
        "mem_get_info": (6 * gb, 10 * gb),
        "memory_reserved": 3 * gb,
        "memory_allocated": 2 * gb,
        "get_per_process_memory_fraction": fraction,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda _index, value=value: value)
    device = CudaDevice(0)
    monkeypatch.setattr(device, "_has_context", lambda: True)

    assert device.free_bytes().value == free * gb


@pytest.mark.parametrize(("backend", "kept"), [("native", 3), ("cudaMallocAsync", None)])
def test_what_cannot_be_given_back_is_never_a_made_up_0(
    backend: str, kept: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An allocator that keeps no count tells 0."""
    stats = {"inactive_split_bytes.all.peak": 3 if backend == "native" else 0}
    monkeypatch.setattr(torch.cuda, "get_allocator_backend", lambda: backend)
    monkeypatch.setattr(torch.cuda, "memory_stats", lambda _index: stats)

    found = CudaDevice(0).peak_unreleasable()

    assert found.value == kept
    assert (found.reason is None) is (kept is not None)


def test_a_poisoned_context_frees_nothing_and_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline is dropped after an illegal memory access as after anything else: breakdown() tells of it."""

    def poisoned(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "device", lambda _index: contextlib.nullcontext())
    for name in ("empty_cache", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, poisoned)
    device = CudaDevice(0)
    device.driver = NvmlGpu(None, unavailable="not asked here")

    device.release_memory()
    broken = device.breakdown()

    assert broken is not None
    assert broken.reason == "CUDA error: an illegal memory access was encountered"


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def test_out_of_memory_of_the_libraries_under_torch_is_recognized() -> None:
    """CuBLAS and cuDNN report a failed allocation as a plain RuntimeError."""
    device = CudaDevice(0)

    assert device.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert device.is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    assert device.is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert not device.is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))


def test_the_driver_is_asked_for_the_gpu_that_torch_means() -> None:
    """By torch's UUID, by the one of a MIG instance that was made visible, and by the place on the bus."""
    properties = SimpleNamespace(uuid="1234-5", pci_domain_id=0, pci_bus_id=0x65, pci_device_id=0)

    assert uuid_of(properties, visible="0,1") == "1234-5"
    assert uuid_of(properties, visible="MIG-77,MIG-78") == "MIG-77"
    assert uuid_of(properties, visible="GPU-1,MIG-77") == "1234-5"
    assert pci_bus_id_of(properties) == "00000000:65:00.0"
    assert uuid_of(SimpleNamespace(), visible="") is None
    assert pci_bus_id_of(SimpleNamespace()) is None


def test_facts_hold_what_the_driver_tells_of_the_same_gpu(nvml_shim: MakeShim) -> None:
    """CUDA's second GPU may be the driver's first: power limit and driver are those of the GPU with torch's UUID."""
    shim = nvml_shim(gpu("GPU-22", power_limit=[250_000]), gpu("GPU-11", pci="00000000:66:00.0"))
    facts = json.loads(shim.python("-c", FACTS))

    assert facts["must_match"]["power_limit_watts"] == 250.0
    assert facts["must_match"]["mig_profile"] == "none"
    assert facts["drift"]["gpu_driver"] == "580.126.09"
    assert facts["shown"]["sm_clock_max_mhz"] == 1980
    assert facts["unknown"] == {}


def test_facts_the_driver_does_not_tell_are_unknown(nvml_shim: MakeShim) -> None:
    """Without the driver's library the other facts stand, and each missing one has its reason."""
    facts = json.loads(nvml_shim(gpu("GPU-22"), fail=["nvmlInitWithFlags 9 1"]).python("-c", FACTS))
    missing = {"mig_profile", "power_limit_watts", "gpu_driver", "power_limit_default_watts", "sm_clock_max_mhz"}

    assert facts["must_match"]["device_name"] == "Card"
    assert facts["must_match"]["power_limit_watts"] is None
    assert facts["unknown"].keys() == missing
    assert all("driver is not loaded" in reason for reason in facts["unknown"].values())


@pytest.mark.gpu
@needs_gpu
def test_peaks_are_those_of_the_allocator() -> None:
    """A tensor of 64 MiB that was freed is in the peak until it is reset."""
    device = CudaDevice(0)
    device.release_memory()
    device.reset_peaks()
    before = device.peak_allocated().value or 0
    tensor = torch.empty(64 << 20, dtype=torch.uint8, device=device.name)
    del tensor
    peak = device.peak_allocated().value or 0

    assert peak - before == 64 << 20
    assert (device.peak_reserved().value or 0) >= peak
    device.reset_peaks()
    assert (device.peak_allocated().value or 0) < peak


@pytest.mark.gpu
@needs_gpu
def test_the_rest_of_a_segment_cannot_be_given_back() -> None:
    """Of 20 MiB that the allocator takes for a tensor of 8 MiB, 12 lie unused while it lives."""
    device = CudaDevice(0)
    device.release_memory()
    device.reset_peaks()
    tensor = torch.empty(8 << 20, dtype=torch.uint8, device=device.name)

    assert (device.peak_unreleasable().value or 0) >= 12 << 20
    assert tensor.numel() == 8 << 20


@pytest.mark.gpu
@needs_gpu
def test_events_take_the_time_of_the_gpu() -> None:
    """The seconds between two events around queued work are above 0 and at most the wall time around them."""
    device = CudaDevice(0)
    matrix = torch.randn(2048, 2048, device=device.name)
    device.synchronize()
    wall = device.wall_s()
    start = device.mark()
    for _ in range(10):
        matrix = matrix @ matrix
        matrix = matrix / matrix.norm()
    end = device.mark()
    device.synchronize()

    assert 0 < device.seconds_between(start, end) <= device.wall_s() - wall


@pytest.mark.gpu
@needs_gpu
def test_facts_identify_the_gpu_without_telling_its_uuid() -> None:
    """The identifier is hashed; the flags that change arithmetic must match."""
    facts = CudaDevice(0).facts()
    must_match = facts["must_match"]

    assert must_match["device_name"] == torch.cuda.get_device_properties(0).name
    assert must_match["device_uuid"] is None or len(str(must_match["device_uuid"])) == 8
    assert {"matmul_fp32_precision", "cudnn_benchmark"} <= must_match.keys()
    assert (CudaDevice(0).free_bytes().value or 0) > 0


@pytest.mark.gpu
@needs_gpu
def test_more_than_the_card_holds_is_out_of_memory() -> None:
    """What torch raises for a petabyte is recognized, and the device works afterwards."""
    device = CudaDevice(0)
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8, device=device.name)

    assert device.is_out_of_memory(caught.value)
    device.release_memory()
    assert float(torch.ones(1, device=device.name)) == 1.0


@pytest.mark.gpu
@needs_gpu
def test_memory_of_the_gpu_holds_what_the_allocator_holds() -> None:
    """After a tensor of 512 MiB at least that much is in use on the GPU, more than before, and it is this process's."""
    device = CudaDevice(0)
    context = device.start()
    before = device.in_use_bytes().value
    assert before is not None, device.in_use_bytes().reason
    tensor = torch.empty(512 << 20, dtype=torch.uint8, device=device.name)
    device.synchronize()

    assert (device.in_use_bytes().value or 0) - before >= 512 << 20
    assert (device.processes().own_bytes.value or 0) >= tensor.numel()
    assert (context.after.value or 0) <= before

"""The GPU as a device: what can be said without one, and what a real one must do."""

from __future__ import annotations

import pytest
import torch

from pytest_sdbatch.devices.cuda import CudaDevice

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def test_out_of_memory_of_the_libraries_under_torch_is_recognized() -> None:
    """CuBLAS and cuDNN report a failed allocation as a plain RuntimeError."""
    device = CudaDevice(0)

    assert device.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert device.is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    assert device.is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert not device.is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))


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

"""From the text of --sd-device to a device, or to a reason."""

from __future__ import annotations

import pytest
import torch

from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.cuda import CudaDevice
from pytest_sdbatch.devices.detect import check_complete, check_gpu, defaults_for, device_of_process, open_device
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.errors import DeviceError

without_cuda = pytest.mark.skipif(torch.version.cuda is not None or torch.version.hip is not None, reason="CUDA build")


def test_cpu_is_the_cpu() -> None:
    """The word cpu gives the CPU, whatever else is there."""
    assert isinstance(open_device("cpu"), CpuDevice)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_auto_is_the_cpu_where_there_is_no_gpu() -> None:
    """Nothing given, no GPU: the CPU."""
    assert open_device("auto").kind == "cpu"


@pytest.mark.parametrize(
    "text", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0:1", "CPU", "mps", "", "cuda: 1", "cpu:0"]
)
def test_an_unknown_word_is_refused_with_what_is_allowed(text: str) -> None:
    """The message names the words that exist."""
    with pytest.raises(DeviceError) as caught:
        open_device(text)

    assert "auto, cpu, cuda or cuda:N" in caught.value.fix


@without_cuda
@pytest.mark.parametrize("text", ["cuda", "cuda:0", "cuda:7"])
def test_cuda_never_falls_back_to_the_cpu(text: str) -> None:
    """With a torch that has no CUDA the reason is said."""
    with pytest.raises(DeviceError) as caught:
        open_device(text)

    assert "without CUDA" in caught.value.why
    assert caught.value.fix


def test_a_missing_driver_and_a_missing_gpu_have_their_own_reasons() -> None:
    """A torch that could but finds nothing points at the driver; an index that is too high names those that exist."""
    with pytest.raises(DeviceError) as no_driver:
        check_gpu("cuda", index=0, built=True, available=False, count=0)
    with pytest.raises(DeviceError) as one:
        check_gpu("cuda:1", index=1, built=True, available=True, count=1)
    with pytest.raises(DeviceError) as four:
        check_gpu("cuda:4", index=4, built=True, available=True, count=4)
    check_gpu("cuda:3", index=3, built=True, available=True, count=4)

    assert "driver" in no_driver.value.why
    assert one.value.fix == "use cuda:0"
    assert four.value.fix == "use cuda:0 to cuda:3"


def test_defaults_of_a_cpu_are_a_tiny_model() -> None:
    """On a CPU: tiny-sd, fp32, 64x64, 4 steps, on that device."""
    defaults = defaults_for(CpuDevice())

    assert (defaults.device, defaults.model, defaults.dtype) == ("cpu", "tiny-sd", "fp32")
    assert (defaults.height, defaults.width, defaults.steps) == (64, 64, 4)


def test_defaults_of_a_fake_are_those_of_a_cpu_under_its_own_name() -> None:
    """A fake device needs no card to plan for."""
    defaults = defaults_for(FakeDevice())

    assert (defaults.device, defaults.dtype) == ("fake", "fp32")


def test_a_device_that_lacks_something_is_refused_with_its_name() -> None:
    """A device written for an older release: one error that names what is missing, not a traceback in mid-run."""

    class Old:
        name = "old"
        kind = "cpu"

        def __getattr__(self, name: str) -> object:
            if name in ("breakdown", "boundary"):
                raise AttributeError(name)
            return None

    check_complete(FakeDevice())
    check_complete(CpuDevice())
    with pytest.raises(DeviceError, match="of type Old, lacks breakdown, boundary"):
        check_complete(Old())


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "fp16"), ((8, 0), "bf16"), ((12, 0), "bf16")])
def test_the_dtype_of_a_gpu_is_known_without_a_context(
    capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bf16 where the GPU computes it; nothing makes the GPU current, which would start a context before the lease."""

    def current(_device: object) -> None:
        pytest.fail("made current")

    monkeypatch.setattr(torch.cuda, "device", current)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)

    assert defaults_for(CudaDevice(1)).dtype == expected


@pytest.mark.parametrize(("word", "device"), [("cuda", "cuda:1"), ("cpu", "cpu"), ("cuda:0", "cuda:0")])
def test_processes_that_train_together_have_a_gpu_each(word: str, device: str) -> None:
    """Of its number, unless one is named."""
    assert device_of_process(word, 1) == device

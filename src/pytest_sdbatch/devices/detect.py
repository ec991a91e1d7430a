"""From the text of ``--sd-device`` to a device, or to the reason why it is not there."""

from __future__ import annotations

import re

from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.device import Device
from pytest_sdbatch.errors import DeviceError
from pytest_sdbatch.grid.plan import Defaults

_CUDA = re.compile(r"cuda(?::([0-9]{1,4}))?")
_ALLOWED = "auto, cpu, cuda or cuda:N"


def open_device(text: str) -> Device:
    """Return the device that *text* names.

    Args:
        text: ``cpu``; ``cuda`` (the first GPU torch sees) or ``cuda:N``, which never fall back to the CPU;
            ``auto``: the first GPU if there is one, else the CPU.

    Raises:
        DeviceError: for another word, or a GPU that cannot be used.

    """
    word = text.strip()
    if word == "cpu":
        return CpuDevice()
    match = _CUDA.fullmatch(word)
    if match is None and word != "auto":
        why = "Apple GPUs are not supported yet; cpu works there" if word == "mps" else ""
        raise DeviceError(f"unknown device {text!r}", why=why, fix=f"use {_ALLOWED}")

    import torch

    available = bool(torch.cuda.is_available())
    if match is None and not available:
        return CpuDevice()
    index = int(match[1] or 0) if match is not None else 0
    check_gpu(
        word,
        index=index,
        built=torch.version.cuda is not None or torch.version.hip is not None,
        available=available,
        count=int(torch.cuda.device_count()),
    )
    from pytest_sdbatch.devices.cuda import CudaDevice

    return CudaDevice(index)


def device_of_process(word: str, local_rank: int) -> str:
    """Return the device of one of several processes that train together: each has a GPU of its own, in their order."""
    if word.strip().lower() == "auto":
        import torch

        return f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu"
    return f"cuda:{local_rank}" if word.strip().lower() == "cuda" else word


def count_gpus() -> int:
    """Return how many GPUs torch would see."""
    import torch

    return int(torch.cuda.device_count())


def check_gpu(word: str, *, index: int, built: bool, available: bool, count: int) -> None:
    """Refuse a GPU that is not there.

    Args:
        word: what was asked for, for the message.
        index: of the GPU, as torch counts.
        built: whether this torch can use GPUs at all.
        available: whether torch reached a driver and a GPU.
        count: GPUs that torch sees.

    Raises:
        DeviceError: with why, and what to do.

    """
    if not built:
        raise DeviceError(
            f"no device {word!r}",
            why="this torch was built without CUDA",
            fix="install a CUDA or ROCm build of torch (see pytorch.org), or ask for cpu",
        )
    if not available:
        raise DeviceError(
            f"no device {word!r}",
            why="torch finds no GPU: no driver, one too old for this torch, or all GPUs hidden from this process",
            fix="look at nvidia-smi and CUDA_VISIBLE_DEVICES, or ask for cpu",
        )
    if index >= count:
        seen = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise DeviceError(f"no device {word!r}", why=f"torch sees {seen}", fix=f"use {seen}")


def check_complete(device: object) -> None:
    """Refuse a device of the project's own that lacks something, as one written for an older release may.

    Raises:
        DeviceError: with the names of what is missing.

    """
    lacking = [name for name in vars(Device) if not name.startswith("_") and not hasattr(device, name)]
    if lacking:
        raise DeviceError(
            f"the device that pytest_sdbatch_make_device gave, of type {type(device).__name__}, "
            f"lacks {', '.join(lacking)}",
            why="a device has every property and method of pytest_sdbatch.devices.device.Device",
            fix="add them; a figure that the device does not know is Reading(reason='why')",
        )


def check_loads_models(device: Device) -> None:
    """Refuse a device of the project's own where a model is to be loaded: torch must know the device, too.

    Raises:
        DeviceError: for such a device.

    """
    import torch

    try:
        torch.device(device.name)
    except RuntimeError:
        raise DeviceError(
            f"no model can be loaded on the device {device.name!r}",
            why="torch knows no such device: it is one of your project's own, for code of your own",
            fix="measure a function there: sd_benchmark(lambda batch: ...), or choose --sd-device=cpu",
        ) from None


def defaults_for(device: Device) -> Defaults:
    """Return what is measured on *device* where an option was not given."""
    if device.kind != "cuda":
        return Defaults(device=device.name, model="tiny-sd", dtype="fp32", height=64, width=64, steps=4)

    import torch

    # Not by torch.cuda.is_bf16_supported, which asks for the current GPU: making one current starts a context there,
    # before this process has its lease and before the memory without a context is read.
    capability = torch.cuda.get_device_capability(device.name)
    dtype = "bf16" if torch.version.hip is not None or capability >= (8, 0) else "fp16"
    return Defaults(device=device.name, model="sd15", dtype=dtype, height=512, width=512, steps=20)

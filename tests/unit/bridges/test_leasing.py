"""Which GPUs workers share, and what -n auto means."""

from __future__ import annotations

import pytest

from pytest_sdbatch.bridges.leasing import gpus
from pytest_sdbatch.options import Options, resolve


def options(**typed: str) -> Options:
    """Return the options of a command line."""
    return resolve(command_line=typed, ini={}, overrides={})


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("0", ("0",)),
        ("3,1", ("3", "1")),
        (" 0 , 1 ", ("0", "1")),
        ("GPU-1f2e,GPU-3a4b", ("GPU-1f2e", "GPU-3a4b")),
        ("MIG-1f2e", ("MIG-1f2e",)),
        ("", ()),
        ("-1", ()),
        ("0,-1,1", ("0",)),
        ("0,,1", ("0",)),
    ],
)
def test_what_the_caller_may_see_is_shared_out(visible: str, expected: tuple[str, ...]) -> None:
    """Entries keep their order and form; those behind the first that is none are hidden, as CUDA has it."""
    assert gpus(options(), {"CUDA_VISIBLE_DEVICES": visible}) == expected


@pytest.mark.parametrize("device", ["cpu", "cuda:1", "pretend"])
def test_one_named_device_is_not_shared_out(device: str) -> None:
    """Who names one device means it for every worker."""
    assert gpus(options(device=device), {"CUDA_VISIBLE_DEVICES": "0,1"}) == ()


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_any_gpu_means_all_of_them(device: str) -> None:
    """Auto and cuda leave the choice open, so that each worker gets one."""
    assert gpus(options(device=device), {"CUDA_VISIBLE_DEVICES": "0,1"}) == ("0", "1")


def test_without_the_variable_torch_counts() -> None:
    """Where nothing is hidden the GPUs that torch would see are shared out, by their index."""
    import torch

    assert gpus(options(), {}) == tuple(map(str, range(torch.cuda.device_count())))

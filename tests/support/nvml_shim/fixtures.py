"""Fixtures that give a test a machine with scripted GPUs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nvml_shim import COMPILER, Shim, ShimGpu, build, write

MakeShim = Callable[..., Shim]


@pytest.fixture(scope="session")
def nvml_libraries(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Path]:
    """Builds the library when it is first needed, as it is or without the functions that end in ``_v3``."""
    if sys.platform != "linux":
        pytest.skip("the stand-in for NVML is a Linux library")
    if COMPILER is None:
        pytest.skip("no C compiler (cc) here to build the stand-in for NVML")
    built: dict[bool, Path] = {}

    def library(without_v3: bool) -> Path:
        if without_v3 not in built:
            flags = ["-DWITHOUT_V3"] if without_v3 else []
            built[without_v3] = build(tmp_path_factory.mktemp("nvml"), flags=flags)
        return built[without_v3]

    return library


@pytest.fixture
def nvml_shim(nvml_libraries: Callable[[bool], Path], tmp_path: Path) -> MakeShim:
    """Makes a machine with GPUs: ``nvml_shim(gpu(...), ...)``, with the last given one's script in force."""

    def make(
        *gpus: ShimGpu,
        driver: str = "580.126.09",
        fail: Sequence[str] = (),
        without_v3: bool = False,
    ) -> Shim:
        return write(tmp_path, nvml_libraries(without_v3), gpus, driver=driver, fail=fail)

    return make

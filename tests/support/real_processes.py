"""Benchmarks that real processes run as a user would, on a device with a virtual clock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SDBATCH = (sys.executable, "-c", "import sys; from pytest_sdbatch.cli import main; sys.exit(main())")
# Those of others take half a second, in each of some hundred processes.
FEW_PLUGINS = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": "pytest_benchmark.plugin,xdist.plugin,pytest_sdbatch.plugin",
}
BENCHMARK = """
def test_it(sd_benchmark, fake_device):
    sd_benchmark(fake_device.generate)
"""


def conftest(device: str = "FakeDevice()", *, before: str = "") -> str:
    """Return a conftest file that gives benchmarks *device*: an expression, which may use what the code *before* sets.

    Every process of a command reads the file, the command's own first, so that the code can count them.
    """
    return f"""
import pytest
from pytest_sdbatch.devices.fake import FakeDevice
{before}
DEVICE = {device}


def pytest_sdbatch_make_device(name):
    return DEVICE


@pytest.fixture
def fake_device():
    return DEVICE
"""


@pytest.fixture
def few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes load no plugin that merely happens to be installed."""
    for name, value in FEW_PLUGINS.items():
        monkeypatch.setenv(name, value)


def make_project(folder: Path, *, conftest: str) -> Path:
    """Write a benchmark and its conftest file to *folder*, and return it."""
    (folder / "conftest.py").write_text(conftest)
    (folder / "test_it.py").write_text(BENCHMARK)
    return folder


def call(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run *command* in *folder*, to its end, with :data:`FEW_PLUGINS`."""
    env = {**os.environ, **FEW_PLUGINS}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False, env=env)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Return when *process*, or one that it has started, has made *path*."""
    end_s = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None, f"it ended before {path.name} was there"
        assert time.monotonic() < end_s, f"no {path.name} after five minutes"
        time.sleep(0.02)

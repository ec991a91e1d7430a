"""A pytest run inside this process, on a device whose clock and memory the test sets."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module

# pytester forgets what an in-process run imported, and these cannot be imported twice.
import diffusers
import diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion  # noqa: F401
import pytest
import rich.console  # noqa: F401
import scipy.special  # noqa: F401
import torch._dynamo.utils  # noqa: F401

import pytest_sdbatch
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.records import Record

# Ours can, but that is half of what such a run takes.
for _module in pkgutil.walk_packages(pytest_sdbatch.__path__, "pytest_sdbatch."):
    if not _module.name.startswith("pytest_sdbatch.suite"):  # its tests are for runs to collect
        import_module(_module.name)

GENERATE = """
    def test_generate(sd_benchmark, fake_device):
        sd_benchmark(fake_device.generate)
"""


class DevicePlugin:
    """Gives a pytest run its device, and its tests a way to use it."""

    def __init__(self, device: FakeDevice) -> None:
        self.device = device

    def pytest_sdbatch_make_device(self, name: str) -> FakeDevice:
        """Return the fake whatever is asked for."""
        return self.device

    @pytest.fixture
    def fake_device(self) -> FakeDevice:
        """The device of the run."""
        return self.device


class Keeper:
    """Keeps the records of a pytest run."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Copy them from the host."""
        from pytest_sdbatch.plugin import HOST

        host = session.config.stash[HOST]
        if host.grid:
            self.records = {record.case.id: record for record in host.session.records}


@dataclass
class Result:
    """A finished pytest run."""

    run: pytest.RunResult
    records: dict[str, Record]

    @cached_property
    def text(self) -> str:
        """What it printed."""
        return self.run.stdout.str() + self.run.stderr.str()

    @property
    def outcomes(self) -> dict[str, str]:
        """Outcome by split: the last part of the case's id."""
        return {case_id.rsplit("-", 1)[-1]: str(record.outcome) for case_id, record in self.records.items()}


RunBenchmark = Callable[..., Result]

"""What the integration tests share."""

from __future__ import annotations

import pytest
from ab_project import ab, project  # noqa: F401 - fixtures
from benchmark_run import GENERATE, DevicePlugin, Keeper, Result, RunBenchmark
from gated import RecordBaseline, recorder
from ray_nodes import nodes  # noqa: F401 - a fixture
from stores import scripted  # noqa: F401 - a fixture

from pytest_sdbatch.devices.fake import FakeDevice


@pytest.fixture
def run_benchmark(pytester: pytest.Pytester) -> RunBenchmark:
    """Run one test file (by default one that generates on the fake device) with the given arguments."""

    def run(*arguments: str, device: FakeDevice | None = None, source: str | None = GENERATE) -> Result:
        if source is not None:
            pytester.makepyfile(test_it=source)
        keeper = Keeper()
        plugins = [DevicePlugin(device if device is not None else FakeDevice()), keeper]
        run = pytester.runpytest_inprocess(
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            "-W",
            "error",
            *arguments,
            plugins=plugins,
            no_reraise_ctrlc=True,
        )
        return Result(run, keeper.records)

    return run


@pytest.fixture
def record(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> RecordBaseline:
    """Store a baseline of five runs, by default of the test and the sizes that the gate is asked for."""
    return recorder(run_benchmark, pytester.path)

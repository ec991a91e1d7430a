"""What needs a GPU: skipped, with the reason, where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sdbatch.devices.cuda import CudaDevice

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    import torch

    missing = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.gpu)
            item.add_marker(missing)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests noted: the figures are what a run on a GPU is for."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {name} = {value}")


@pytest.fixture(autouse=True)
def _own_leases(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Let benchmarks within tests take turns at the card, in all workers: one of them wants all of its memory."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base
    monkeypatch.setenv("SDBATCH_LEASES", str(shared / "leases"))


@pytest.fixture
def device() -> CudaDevice:
    """Return the first GPU, with nothing of earlier tests in its allocator."""
    found = CudaDevice(0)
    found.release_memory()
    return found

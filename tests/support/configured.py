"""A pytest that is configured and has collected, in this process, and runs nothing: what hooks are called with."""

from __future__ import annotations

import io

# pytester forgets what was imported within a test, and these cannot be imported twice.
import numpy as np  # noqa: F401
import pytest
import rich.console  # noqa: F401
import scipy.special  # noqa: F401

from pytest_sdbatch.bridges import pytest_items
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.host import Host, host_of
from pytest_sdbatch.records import Outcome, Record, Round

QUIET = ("-p", "no:cacheprovider", "-p", "no:randomly")
ONE = "def test_it(sd_benchmark): pass\n"


class OnFake:
    """Gives a run the fake device, and keeps what it is told of tests."""

    def __init__(self, device: FakeDevice) -> None:
        self.device = device
        self.reports: list[pytest.TestReport] = []

    def pytest_sdbatch_make_device(self, name: str) -> FakeDevice:
        """Return the fake whatever is asked for."""
        return self.device

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep it."""
        self.reports.append(report)


def host_with(pytester: pytest.Pytester, *arguments: str, device: FakeDevice | None = None) -> Host:
    """Return the host of a pytest that was configured with *arguments*."""
    return host_of(_configured(pytester, *arguments, device=device))


def items_with(pytester: pytest.Pytester, *arguments: str, source: str = ONE) -> list[pytest.Item]:
    """Return what a pytest with *arguments* collects, by default a benchmark; its host is that of their config."""
    path = pytester.makepyfile(test_it=source)
    config = _configured(pytester, *arguments, str(path))
    session = pytest.Session.from_config(config)
    config.hook.pytest_sessionstart(session=session)
    return pytester.genitems(session.perform_collect([str(path)], genitems=False))


def told_of(host: Host) -> list[pytest.TestReport]:
    """Return the reports that the run of *host* was told of."""
    (plugin,) = [one for one in host.config.pluginmanager.get_plugins() if isinstance(one, OnFake)]
    return plugin.reports


def screen_of(host: Host) -> io.StringIO:
    """Let the terminal of *host* be a text, 100 columns wide, and return it."""
    text = io.StringIO()
    manager = host.config.pluginmanager
    if manager.hasplugin("terminalreporter"):
        manager.unregister(name="terminalreporter")
    reporter = pytest.TerminalReporter(host.config, text)
    reporter._tw.fullwidth = 100
    manager.register(reporter, "terminalreporter")
    return text


def reporter_of(host: Host) -> pytest.TerminalReporter:
    """Return the terminal of *host*."""
    reporter = host.config.pluginmanager.get_plugin("terminalreporter")
    assert isinstance(reporter, pytest.TerminalReporter)
    return reporter


def record_of(item: pytest.Item, *seconds: float, outcome: Outcome = Outcome.OK, reason: str | None = None) -> Record:
    """Return the record of a benchmark, of rounds of so many *seconds*."""
    host = host_of(item.config)
    case = pytest_items.case_of_item(item, host)
    assert case is not None
    assert isinstance(item, pytest.Function)
    return Record(
        test=pytest_items.name_of_test(item, case),
        case=case,
        outcome=outcome,
        reason=reason,
        rounds=tuple(Round(wall_s=s, cpu_s=s, call_s=(s,), peak_allocated_bytes=2**30) for s in seconds),
        memory_source="peak_allocated_bytes",
        output_check="checked",
    )


def report_of(item: pytest.Item, **fields: object) -> pytest.TestReport:
    """Return a report on the call of *item*, which passed, or what *fields* make of it."""
    usual: dict[str, object] = {"outcome": "passed", "when": "call", "longrepr": None, "duration": 2.0}
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        **{**usual, **fields},  # type: ignore[arg-type]
    )


def _configured(pytester: pytest.Pytester, *arguments: str, device: FakeDevice | None = None) -> pytest.Config:
    pytester.plugins = [OnFake(device if device is not None else FakeDevice())]
    return pytester.parseconfigure(*QUIET, *arguments)

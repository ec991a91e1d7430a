"""Who decides whether a case has ended or hung, when it ends just then; and who looks at a device."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_sdbatch.bridges import faults, pytest_items


def test_a_case_that_ended_is_not_ended_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer that fires while the case ends finds it decided: the process goes on, and no case is called hung."""
    monkeypatch.setattr(os, "_exit", lambda _code: pytest.fail("the process was ended"))
    ended = threading.Lock()
    ended.acquire()

    item: Any = None  # not looked at
    host: Any = None
    faults._end_hung(item, host, 1.0, ended, measured=False)


def test_a_process_that_is_ending_begins_no_other_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timer came first: the case that ends meanwhile waits for the end of the process."""
    fired, begun = threading.Event(), threading.Event()
    release: list[threading.Lock] = []

    def end(_item: object, _host: object, _limit_s: float, ending: threading.Lock, *, measured: bool) -> None:
        assert not measured
        ending.acquire()
        release.append(ending)
        fired.set()

    monkeypatch.setattr(faults, "_limit_s", lambda _item, _host: 0.01)
    monkeypatch.setattr(faults, "_end_hung", end)
    item: Any = None
    host: Any = SimpleNamespace()

    def run() -> None:
        with faults.watched(item, host):
            fired.wait(60)
        begun.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert fired.wait(60)
    assert not begun.wait(0.3)
    release[0].release()  # which the real one never does
    assert begun.wait(60)


def report_of(**fields: object) -> pytest.TestReport:
    """Return the report of a call, with a record unless *fields* say otherwise."""
    values: dict[str, Any] = {"when": "call", "outcome": "passed", "sdbatch_record": {}, **fields}
    return pytest.TestReport(nodeid="a", location=("a", 1, "a"), keywords={}, longrepr=None, **values)


def test_a_case_that_is_told_of_is_not_ended_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit passes while its report goes out: from there on it is the tear-down's, which has some seconds more."""
    began: list[tuple[float, bool]] = []

    class Timer(threading.Timer):
        def __init__(self, limit_s: float, *given: Any) -> None:
            super().__init__(limit_s, *given)
            began.append((limit_s, given[-1]["measured"]))

    monkeypatch.setattr(os, "_exit", lambda _code: pytest.fail("the process was ended"))
    monkeypatch.setattr(threading, "Timer", Timer)
    monkeypatch.setattr(faults, "_limit_s", lambda _item, _host: 0.2)
    item: Any = None
    host: Any = SimpleNamespace(is_worker=True)

    with faults.watched(item, host):
        with faults.told(report_of(), host):
            threading.Event().wait(0.5)
        assert began == [(0.2, False), (5.0, True)]


@pytest.mark.parametrize("fields", [{"when": "teardown"}, {"outcome": "rerun"}, {"when": "setup"}])
def test_other_reports_end_no_case(fields: dict[str, object]) -> None:
    """A set-up that passed, a tear-down, and an attempt that is followed by another leave the watch as it is."""
    report = report_of(**fields)
    if report.when == "setup":
        del report.sdbatch_record
    watch = SimpleNamespace(settle=lambda: pytest.fail("it was taken for ended"))
    host: Any = SimpleNamespace(watch=watch)

    with faults.told(report, host):
        pass


def test_a_device_that_another_process_holds_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that failed for want of its lease: asking the device how it is would disturb who times there."""
    asked: list[str] = []
    device = SimpleNamespace(breakdown=lambda: asked.append("breakdown"))
    host: Any = SimpleNamespace(only_check=False, has_device=True, lease=None, device=device)
    monkeypatch.setattr("pytest_sdbatch.host.host_of", lambda _config: host)
    monkeypatch.setattr(pytest_items, "measures", lambda _item: True)
    item: Any = SimpleNamespace(config=None)
    report: Any = SimpleNamespace(failed=True)

    faults.look_at_device(item, report)
    assert asked == []
    host.lease = object()
    faults.look_at_device(item, report)
    assert asked == ["breakdown"]

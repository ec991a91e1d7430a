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
    faults._end_hung(item, host, 1.0, ended)


def test_a_process_that_is_ending_begins_no_other_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timer came first: the case that ends meanwhile waits for the end of the process."""
    fired, begun = threading.Event(), threading.Event()
    release: list[threading.Lock] = []

    def end(_item: object, _host: object, _limit_s: float, ending: threading.Lock) -> None:
        ending.acquire()
        release.append(ending)
        fired.set()

    monkeypatch.setattr(faults, "_limit_s", lambda _item, _host: 0.01)
    monkeypatch.setattr(faults, "_end_hung", end)
    item: Any = None
    host: Any = None

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

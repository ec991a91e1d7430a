"""Tracers and profilers are paused, named and put back."""

from __future__ import annotations

import cProfile
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from pytest_sdbatch.measure.tracers import paused


class Recorder:
    """A tracer that counts what it is told."""

    def __init__(self) -> None:
        self.events = 0

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        """Count an event."""
        self.events += 1
        return self


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Yield a tracer; whatever was active before comes back after the test."""
    before = sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()
    yield Recorder()
    sys.settrace(before[0])
    sys.setprofile(before[1])
    threading.settrace(before[2])
    threading.setprofile(before[3])


def work() -> int:
    """Return something after a few lines."""
    total = 0
    for value in range(10):
        total += value
    return total


def test_nothing_active_is_told_as_nothing(recorder: Recorder) -> None:
    """Without tracers there is no name."""
    sys.settrace(None)
    sys.setprofile(None)
    with paused() as name:
        pass

    assert name is None or not name.startswith(__name__)


@pytest.mark.parametrize("kind", ["settrace", "setprofile"])
def test_a_tracer_sees_nothing_of_a_paused_block_and_everything_after(kind: str, recorder: Recorder) -> None:
    """Code inside runs unobserved; the same code after it is observed again."""
    getattr(sys, kind)(recorder)
    with paused() as name:
        before = recorder.events
        work()
        inside = recorder.events - before
    before = recorder.events
    work()
    after = recorder.events - before
    getattr(sys, kind)(None)

    assert inside == 0
    assert after > 0
    assert name is not None
    assert "Recorder" in name


def test_a_tracer_comes_back_after_an_error(recorder: Recorder) -> None:
    """An interrupt inside the block leaves the tracer on."""
    sys.settrace(recorder)
    try:
        with paused():
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        restored = sys.gettrace()
    sys.settrace(None)

    assert restored is recorder


def test_threads_started_inside_are_not_traced(recorder: Recorder) -> None:
    """What threading.settrace would give new threads is held back, and given to those after it."""
    threading.settrace(recorder)
    threading.setprofile(recorder)
    with paused():
        inside = run_in_thread(recorder)
    after = run_in_thread(recorder)

    assert inside == 0
    assert after > 0


def run_in_thread(recorder: Recorder) -> int:
    """Return how many events a new thread sent."""
    before = recorder.events
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return recorder.events - before


def test_the_profiler_of_the_standard_library_is_paused_and_goes_on() -> None:
    """cProfile, which no Python code can put back as a hook, counts the calls outside the block only."""
    profiler = cProfile.Profile()
    profiler.enable()
    work()
    with paused() as name:
        work()
        work()
    work()
    profiler.disable()
    calls = {entry.code.co_name: entry.callcount for entry in profiler.getstats() if hasattr(entry.code, "co_name")}

    assert calls["work"] == 2
    assert name


@pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="sys.monitoring came with Python 3.12")
def test_tools_of_sys_monitoring_are_paused_and_put_back() -> None:
    """Global events stop, callbacks of single code objects too, and both come back."""
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
    tool = next(number for number in range(6) if monitoring.get_tool(number) is None)
    seen: list[str] = []
    monitoring.use_tool_id(tool, "sdbatch-test")
    try:
        monitoring.register_callback(tool, monitoring.events.PY_START, lambda *_: seen.append("start"))
        monitoring.register_callback(tool, monitoring.events.LINE, lambda *_: seen.append("line"))
        monitoring.set_events(tool, monitoring.events.PY_START)
        monitoring.set_local_events(tool, work.__code__, monitoring.events.LINE)
        with paused() as name:
            seen.clear()
            work()
            inside = list(seen)
        seen.clear()
        work()
    finally:
        monitoring.free_tool_id(tool)

    assert inside == []
    assert {"start", "line"} <= set(seen)
    assert "sdbatch-test" in (name or "")

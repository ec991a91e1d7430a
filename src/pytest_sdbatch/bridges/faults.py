"""Faults that a process does not survive: a device that is unusable, and a case that does not end.

A worker of pytest-xdist tells its controller why and ends itself; xdist replaces it and the sweep goes on. Without
workers the session stops, or the process ends, with what it has in the journal. Nobody else's process is touched.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.bridges import leasing, pytest_items

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.records import Outcome

_LAST_WORDS = "sdbatch_last_words"  # attribute of a report: what a worker says before it ends
_GRACE_S = 5.0  # behind the limit: until the C library's timer ends a process, and for a tear-down that began late
_FAREWELL_S = 60.0  # for the last words and the journal, after which this process is ended all the same
_STDERR = 2  # the descriptor: sys.stderr is what pytest captures into
_FRAMES = 6  # of the stack, in a message


def look_at_device(item: pytest.Item, report: pytest.TestReport) -> None:
    """After a benchmark failed: end here where its device can run nothing any more.

    Args:
        item: the test.
        report: of the phase that failed; not sent yet.

    """
    from pytest_sdbatch.host import host_of

    host = host_of(item.config)
    if not report.failed or host.only_check or not pytest_items.measures(item) or not host.has_device:
        return
    if host.lease is None:  # it is another process's, which times on it now
        return
    broken = host.device.breakdown()
    if broken is None:
        return
    from pytest_sdbatch.records import Outcome

    if host.is_worker:
        _speak_last(item, Outcome.CRASHED, broken.reason, text=report.longreprtext, lost=broken.lost)
        os._exit(1)
    item.session.shouldstop = (
        f"sdbatch: {host.device.name} cannot be used any more by this process ({broken.reason}); the same command "
        "with --sd-resume runs the rest, and this case again (leave it out by --deselect)"
    )


@contextlib.contextmanager
def watched(item: pytest.Item, host: Host) -> Iterator[None]:
    """End this process where the benchmark *item* does not end within its ``case_timeout``."""
    limit_s = _limit_s(item, host)
    if limit_s is None:
        yield
        return
    host.watch = watch = Watch(item, host, limit_s)
    try:
        yield
    finally:
        host.watch = None
        watch.end()


class Watch:
    """Ends this process where a case, or then its tear-down, does not end in time."""

    def __init__(self, item: pytest.Item, host: Host, limit_s: float) -> None:
        self._of = item, host, limit_s
        self._end_s = time.monotonic() + limit_s
        # The timer of C gets a descriptor of its own: between the phases of a test pytest captures nothing, inside them
        # what goes to stderr is lost with us.
        self._stderr = _copy_of_stderr()
        self._begin(limit_s, measured=False)

    def settle(self) -> None:
        """Take note that what was watched has ended; where it is being ended as hung, wait for that."""
        if not self._ending.acquire(blocking=False):
            self._ending.acquire()  # for ever: this process is ending, and shall not tell or begin anything meanwhile
        self._timer.cancel()

    def go_on(self) -> None:
        """Watch the tear-down, once the case has its record."""
        self._begin(max(self._end_s - time.monotonic(), _GRACE_S), measured=True)

    def end(self) -> None:
        """Watch nothing any more."""
        self.settle()
        faulthandler.cancel_dump_traceback_later()
        if self._stderr is not None:
            os.close(self._stderr)

    def _begin(self, limit_s: float, *, measured: bool) -> None:
        self._ending = threading.Lock()  # whoever has it first decides whether it has ended or hung; never given back
        self._timer = threading.Timer(limit_s, _end_hung, (*self._of, self._ending), {"measured": measured})
        self._timer.daemon = True
        self._timer.start()
        # A thread of Python waits for a call that keeps Python's lock; this one, of C, does not.
        stderr = _STDERR if self._stderr is None else self._stderr
        faulthandler.dump_traceback_later(limit_s + _GRACE_S, exit=True, file=stderr)


@contextlib.contextmanager
def told(report: pytest.TestReport, host: Host) -> Iterator[None]:
    """Around whatever hears *report*: a case whose record is told of has ended, and is not told of again as hung."""
    watch = host.watch if _settles(report) else None
    if watch is not None:
        watch.settle()
    yield
    if watch is not None:
        watch.go_on()


def _settles(report: pytest.TestReport) -> bool:
    """Return whether *report* has the record of a case that is not run again."""
    is_last = report.when != "teardown" and report.outcome in ("passed", "skipped", "failed")
    return is_last and type(report) is pytest.TestReport and "sdbatch_record" in vars(report)


def _copy_of_stderr() -> int | None:
    try:
        return os.dup(_STDERR)
    except OSError:  # closed, as in a service
        return None


def hear(report: pytest.TestReport, host: Host) -> None:
    """Take note of a case that has its record, and of the last words of a worker that is about to end."""
    if _settles(report):
        host.settled.add(report.nodeid)
    words: dict[str, Any] | None = vars(report).get(_LAST_WORDS)
    if words is None:
        return
    host.last_words[report.nodeid] = words
    node = getattr(report, "node", None)
    if words["lost"] and node is not None:
        leasing.move_away(host, node.gateway.spec)


def _limit_s(item: pytest.Item, host: Host) -> float | None:
    if not pytest_items.measures(item) or host.only_check or pytest_items.case_of_item(item, host) is None:
        return None
    options = pytest_items.options_of(item, host)
    return None if options.text("case_timeout") is None else options.number("case_timeout")


def _end_hung(item: pytest.Item, host: Host, limit_s: float, ending: threading.Lock, *, measured: bool) -> None:
    """End this process from a thread beside the one that hangs, unless what hangs ends just now.

    What hangs is the case or, where that was *measured*, its tear-down: then its record stays as it is.
    """
    from pytest_sdbatch.records import Outcome

    if not ending.acquire(blocking=False):
        return
    # Python runs; the disk, and the screen, may take their time.
    faulthandler.dump_traceback_later(_FAREWELL_S, exit=True, file=_STDERR)
    reason = ("its tear-down " if measured else "") + f"did not end within case_timeout={limit_s:g} s"
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    stack = "".join(traceback.format_stack(frame)[-_FRAMES:])
    if host.is_worker:
        _speak_last(item, Outcome.TIMEOUT, reason, text=stack, lost=False)
        os._exit(1)
    if not measured:
        _journal_hung(item, host, reason)
    reporter = host.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        capture = host.config.pluginmanager.get_plugin("capturemanager")
        if capture is not None:  # at work around the case; what is written now would be lost with the process
            capture.suspend_global_capture(in_=True)
        again = "" if measured else f", and this case again\n  (leave it out by --deselect '{item.nodeid}')"
        reporter.write(
            f"\n{stack}\nsdbatch: {item.nodeid}{':' if measured else ''} {reason}, so this process ends.\n"
            f"  What was measured is kept: the same command with --sd-resume runs the rest{again}.\n"
        )
        reporter.flush()  # os._exit() leaves behind what is buffered
    os._exit(int(pytest.ExitCode.TESTS_FAILED))


def _journal_hung(item: pytest.Item, host: Host, reason: str) -> None:
    from pytest_sdbatch.records import Outcome

    case = pytest_items.case_of_item(item, host)
    assert case is not None
    assert isinstance(item, pytest.Function)
    if host.journal is not None:
        from pytest_sdbatch.storage.journal import Entry

        record = host.session.unmeasured(pytest_items.name_of_test(item, case), case, reason, Outcome.TIMEOUT)
        host.journal.add(Entry(record=record, options=pytest_items.options_of(item, host).given("measure")))


def _speak_last(item: pytest.Item, outcome: Outcome, reason: str, *, text: str, lost: bool) -> None:
    """Tell the controller why this worker ends: on a report of a set-up that passed, which nobody counts."""
    report = pytest.TestReport(
        nodeid=item.nodeid, location=item.location, keywords={}, outcome="passed", longrepr=None, when="setup"
    )
    vars(report)[_LAST_WORDS] = {"outcome": str(outcome), "reason": reason, "text": text, "lost": lost}
    item.ihook.pytest_runtest_logreport(report=report)

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
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.bridges import leasing, pytest_items

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.records import Outcome

_LAST_WORDS = "sdbatch_last_words"  # attribute of a report: what a worker says before it ends
_GRACE_S = 5.0  # after which a process that holds Python's lock is ended by the C library's timer
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
    ending = threading.Lock()  # whoever has it first decides whether the case has ended or hung; never given back
    timer = threading.Timer(limit_s, _end_hung, (item, host, limit_s, ending))
    timer.daemon = True
    timer.start()
    # A thread of Python waits for a call that keeps Python's lock; this one, of C, does not. It gets a descriptor of
    # its own: between the phases of a test pytest captures nothing, inside them what goes to stderr is lost with us.
    stderr = _copy_of_stderr()
    faulthandler.dump_traceback_later(limit_s + _GRACE_S, exit=True, file=_STDERR if stderr is None else stderr)
    try:
        yield
    finally:
        if not ending.acquire(blocking=False):
            ending.acquire()  # for ever: this process is ending, and shall not begin another case meanwhile
        timer.cancel()
        faulthandler.cancel_dump_traceback_later()
        if stderr is not None:
            os.close(stderr)


def _copy_of_stderr() -> int | None:
    try:
        return os.dup(_STDERR)
    except OSError:  # closed, as in a service
        return None


def hear(report: pytest.TestReport, host: Host) -> None:
    """Keep the last words of a worker that is about to end, for the record of its case."""
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


def _end_hung(item: pytest.Item, host: Host, limit_s: float, ending: threading.Lock) -> None:
    """End this process from a thread beside the one that hangs, unless the case ends just now."""
    from pytest_sdbatch.records import Outcome

    if not ending.acquire(blocking=False):
        return
    # Python runs; the disk, and the screen, may take their time.
    faulthandler.dump_traceback_later(_FAREWELL_S, exit=True, file=_STDERR)
    reason = f"did not end within case_timeout={limit_s:g} s"
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    stack = "".join(traceback.format_stack(frame)[-_FRAMES:])
    if host.is_worker:
        _speak_last(item, Outcome.TIMEOUT, reason, text=stack, lost=False)
        os._exit(1)
    case = pytest_items.case_of_item(item, host)
    assert case is not None
    assert isinstance(item, pytest.Function)
    if host.journal is not None:
        from pytest_sdbatch.storage.journal import Entry

        record = host.session.unmeasured(pytest_items.name_of_test(item, case), case, reason, Outcome.TIMEOUT)
        host.journal.add(Entry(record=record, options=pytest_items.options_of(item, host).given("measure")))
    reporter = host.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        capture = host.config.pluginmanager.get_plugin("capturemanager")
        if capture is not None:  # at work around the case; what is written now would be lost with the process
            capture.suspend_global_capture(in_=True)
        reporter.write(
            f"\n{stack}\nsdbatch: {item.nodeid} {reason}, so this process ends.\n"
            "  What was measured is kept: the same command with --sd-resume runs the rest, and this case again\n"
            f"  (leave it out by --deselect '{item.nodeid}').\n"
        )
        reporter.flush()  # os._exit() leaves behind what is buffered
    os._exit(int(pytest.ExitCode.TESTS_FAILED))


def _speak_last(item: pytest.Item, outcome: Outcome, reason: str, *, text: str, lost: bool) -> None:
    """Tell the controller why this worker ends: on a report of a set-up that passed, which nobody counts."""
    report = pytest.TestReport(
        nodeid=item.nodeid, location=item.location, keywords={}, outcome="passed", longrepr=None, when="setup"
    )
    vars(report)[_LAST_WORDS] = {"outcome": str(outcome), "reason": reason, "text": text, "lost": lost}
    item.ihook.pytest_runtest_logreport(report=report)

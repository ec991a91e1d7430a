"""Records on their way: made for a test's report where its test ends, taken into the session where that is heard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.bridges import screen

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.records import Fact, Record


def attach(item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport) -> None:
    """Let *report* carry the record of its benchmark, as plain builtins so that it can travel between processes.

    A record is carried by the call, by a set-up that did not pass, and again by a tear-down that failed, because
    then the test failed after measuring. One that ended without measuring gets a record here, so that it is a row.
    """
    from pytest_sdbatch.bridges import pytest_items
    from pytest_sdbatch.host import host_of

    if report.when != "call" and report.passed:
        return
    record = item.stash.get(pytest_items.RECORD, None)
    if record is None and not report.passed and call.excinfo is not None:
        record = _unmeasured(item, call.excinfo)
        if record is not None:
            item.stash[pytest_items.RECORD] = record  # what a tear-down raises must not take its place
            pytest_items.leave_out(item)
    if record is None:
        return
    from pytest_sdbatch.bridges import gate, junit
    from pytest_sdbatch.storage.codec import encode_record

    gate.attach(item, report, record)
    regressed = gate.verdict_alone(item, report)
    if regressed is not None:
        record = replace(record, test_outcome="regressed", reason=regressed)
    junit.attach(item, record)
    vars(report)["sdbatch_record"] = encode_record(record)
    vars(report)["sdbatch_options"] = pytest_items.options_of(item, host_of(item.config)).given("measure")


def _unmeasured(item: pytest.Item, raised: pytest.ExceptionInfo[BaseException]) -> Record | None:
    from pytest_sdbatch.bridges import pytest_benchmark, pytest_items
    from pytest_sdbatch.host import host_of

    host = host_of(item.config)
    case = pytest_items.case_of_item(item, host)
    if case is None or not pytest_items.measures(item) or host.only_check or pytest_benchmark.skips_all(item.config):
        return None
    assert isinstance(item, pytest.Function)
    outcome, reason = pytest_items.outcome_of(raised.value), pytest_items.reason_of(raised)
    return host.session.unmeasured(pytest_items.name_of_test(item, case), case, reason, outcome)


def _carried(report: pytest.TestReport) -> Record | None:
    """Return the record that *report* carries."""
    data = vars(report).get("sdbatch_record")
    if data is None:
        return None
    from pytest_sdbatch.storage.codec import decode_record

    return decode_record(data)


def keep(report: pytest.TestReport, host: Host) -> None:
    """Take the record of *report* into the session and print its line."""
    record = _carried(report)
    if type(report) is not pytest.TestReport:  # a subtest's: the test's own comes behind it
        return
    if record is None:
        if report.when == "call" or not report.passed:  # it may be one that only asked for its case
            host.progress.end(report.nodeid, report.duration)
        return
    # What the test came to is only known here: plugins may change it until it is reported.
    # A plugin that runs it again says "rerun" in between.
    expected = report.skipped and hasattr(report, "wasxfail")  # to fail, which it did
    test_outcome = report.outcome if report.outcome in ("passed", "skipped") and not expected else "failed"
    if test_outcome != "failed" or record.test_outcome != "regressed":
        record = replace(record, test_outcome=test_outcome)
    if host.workers > 1:
        record = _without_common_facts(record, host.session.environment.must_match)
    host.session.keep(record)
    if report.location[1] is not None:
        host.test_lines[record.key] = report.location[1] + 1  # pytest counts from 0
    crash = getattr(report.longrepr, "reprcrash", None)
    if report.failed and crash is not None:
        host.test_failures[record.key] = crash.message.removeprefix("Failed: ")
    if host.journal is not None:
        from pytest_sdbatch.storage.journal import Entry

        host.journal.add(Entry(record=record, options=vars(report)["sdbatch_options"]))
    if report.when == "teardown":
        return
    host.progress.end(report.nodeid, report.duration)
    reporter = host.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and host.config.get_verbosity() >= -1:
        screen.write_line(reporter, record, report.nodeid, host)


def _without_common_facts(record: Record, of_run: Mapping[str, Fact]) -> Record:
    """Return *record*, of a worker, without what its device has in common with that of the run."""
    own = {key: fact for key, fact in record.must_match.items() if key not in of_run or of_run[key] != fact}
    return replace(record, must_match=own)

"""Records on the reports of tests, and what the session makes of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from configured import items_with, record_of, report_of, screen_of

from pytest_sdbatch.bridges import carrying, pytest_items
from pytest_sdbatch.host import Host, host_of
from pytest_sdbatch.records import Outcome
from pytest_sdbatch.storage.codec import encode_record


@pytest.fixture
def item(pytester: pytest.Pytester) -> pytest.Item:
    """Return a benchmark, which is the only one that is expected."""
    (found,) = items_with(pytester, "--sd-batch-sizes=1")
    host = host_of(found.config)
    host.progress.expect([found.nodeid])
    host.grid = [record_of(found).case]
    screen_of(host)
    return found


def raised(error: BaseException) -> pytest.CallInfo[Any]:
    """Return a phase that raised *error*."""

    def fail() -> None:
        raise error

    return pytest.CallInfo.from_call(fail, "call")


def kept(item: pytest.Item, **fields: Any) -> Host:
    """Return the host of *item* once a report on it, which carries a record, was heard."""
    host = host_of(item.config)
    record = record_of(item, *[1.0] * 5)
    carrying.keep(report_of(item, sdbatch_record=encode_record(record), sdbatch_options={}, **fields), host)
    return host


def test_a_report_carries_the_record_of_its_call(item: pytest.Item) -> None:
    """As plain builtins, with the options that it was measured with; a phase that passed before it carries none."""
    item.stash[pytest_items.RECORD] = record_of(item, *[1.0] * 5)
    call, set_up = report_of(item), report_of(item, when="setup")

    carrying.attach(item, raised(ValueError()), call)
    carrying.attach(item, raised(ValueError()), set_up)

    assert vars(call)["sdbatch_record"]["outcome"] == "ok"
    assert vars(call)["sdbatch_options"] == {"batch_sizes": "1"}
    assert "sdbatch_record" not in vars(set_up)


@pytest.mark.parametrize(
    ("error", "outcome", "of_report"),
    [(ValueError("broken"), "crashed", "failed"), (pytest.skip.Exception("not here"), "skipped", "skipped")],
)
def test_a_benchmark_that_did_not_measure_is_a_row_all_the_same(
    item: pytest.Item, error: BaseException, outcome: str, of_report: str
) -> None:
    """With the reason; what its tear-down raises does not take its place."""
    first, later = report_of(item, outcome=of_report), report_of(item, outcome="failed", when="teardown")

    carrying.attach(item, raised(error), first)
    carrying.attach(item, raised(OSError("late")), later)

    for report in (first, later):
        data = vars(report)["sdbatch_record"]
        assert (data["outcome"], str(error) in data["reason"]) == (outcome, True)


def test_another_test_carries_nothing(pytester: pytest.Pytester) -> None:
    """Whatever it raises."""
    (plain,) = items_with(pytester, "--sd-batch-sizes=1", source="def test_plain(): pass\n")
    report = report_of(plain, outcome="failed")

    carrying.attach(plain, raised(ValueError()), report)

    assert "sdbatch_record" not in vars(report)


@pytest.mark.parametrize(
    ("fields", "test_outcome"),
    [
        ({}, "passed"),
        ({"outcome": "skipped"}, "skipped"),
        ({"outcome": "failed"}, "failed"),
        ({"outcome": "skipped", "wasxfail": "known"}, "failed"),
        ({"outcome": "rerun"}, "failed"),
    ],
)
def test_what_the_test_came_to_is_kept_with_its_record(
    item: pytest.Item, fields: dict[str, object], test_outcome: str
) -> None:
    """Known only from the report: a failure that was expected is one, and an attempt that is run again, too."""
    (record,) = kept(item, **fields).records

    assert (record.outcome, record.test_outcome) == (Outcome.OK, test_outcome)


def test_what_was_raised_and_where_is_kept(item: pytest.Item) -> None:
    """For annotations: lines count from 1, and the message is without pytest's own word."""
    crash = SimpleNamespace(reprcrash=SimpleNamespace(message="Failed: too slow"))
    host = kept(item, outcome="failed", longrepr=crash)

    assert list(host.test_failures.values()) == ["too slow"]
    assert list(host.test_lines.values()) == [1]


def test_a_benchmark_ends_once(item: pytest.Item) -> None:
    """Its tear-down changes the record, and is neither another line nor another benchmark."""
    host = kept(item)
    screen = screen_of(host)
    kept(item, when="teardown", outcome="failed")

    assert (host.progress.ended, host.progress.complete) == (1, True)
    assert [record.test_outcome for record in host.records] == ["failed"]
    assert screen.getvalue() == ""


def test_a_report_of_another_kind_is_left_to_who_made_it(item: pytest.Item) -> None:
    """Subtests make their own; the test's comes behind them."""

    class SubReport(pytest.TestReport):
        """What a plugin makes of a part of a test."""

    host = host_of(item.config)
    record = encode_record(record_of(item, *[1.0] * 5))
    report = SubReport(item.nodeid, item.location, {}, "passed", None, "call", sdbatch_record=record)

    carrying.keep(report, host)

    assert (host.records, host.progress.ended) == ((), 0)


def test_what_a_worker_has_in_common_with_the_run_is_stored_once(item: pytest.Item) -> None:
    """Its own device is told where it is another one."""
    host = host_of(item.config)
    host.workers = 2
    common = dict(host.session.environment.must_match)
    data = encode_record(record_of(item, *[1.0] * 5))
    data["must_match"] = {**common, "device_uuid": "abc"}

    carrying.keep(report_of(item, sdbatch_record=data, sdbatch_options={}), host)

    assert host.records[0].must_match == {"device_uuid": "abc"}

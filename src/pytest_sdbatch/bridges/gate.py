"""``--sd-baseline`` and ``--sd-gate``: what a run is held to, and the tests that break it by themselves.

A case's own test fails for what one run of it shows beyond doubt: a broken limit, out of memory where the baseline was
ok, peak memory over its budget. The verdict on time comes after the loop: :mod:`pytest_sdbatch.bridges.verdict`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch import units
from pytest_sdbatch.bridges import baseline, pytest_items
from pytest_sdbatch.errors import BaselineError

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.comparison import Comparison
    from pytest_sdbatch.analysis.sides import SideRun
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.records import Record

_TOLD = "sdbatch_gate"  # attribute of a report: what the gate needs to know of its test
_BROKEN: pytest.StashKey[bool] = pytest.StashKey()  # of an item: the gate failed its test
_REGRESSED: pytest.StashKey[str] = pytest.StashKey()  # and for nothing but what a comparison says of a sound case


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedTest:
    """What is known of the test of a case, wherever it ran."""

    node_id: str
    location: tuple[str, int | None, str]  # as a report has it
    budget: Mapping[str, float]
    limited: bool  # whether it has limits to keep
    failed: bool  # whether pytest counts it as failed: not where that was expected


class Gate:
    """What this run is held to, and what came of it."""

    def __init__(self, *, enforced: bool, name: str | None, base: Sequence[SideRun] = ()) -> None:
        self.enforced = enforced  # fail, or only show
        self.name = name  # of the baseline, as it was given; None: limits alone
        self.base = tuple(base)
        self.tests: dict[str, GatedTest] = {}  # by node id with the parameters, as run files have it
        self.comparison: Comparison | None = None
        self.last_word = ""  # printed when all else is

    def tell(self, report: pytest.TestReport, told: Mapping[str, Any]) -> None:
        """Take note of a test that ended."""
        self.tests[told["name"]] = GatedTest(
            node_id=report.nodeid,
            location=report.location,
            budget=told["budget"],
            limited=told["limited"],
            failed=report.failed and not hasattr(report, "wasxfail"),
        )


def collected(items: Sequence[pytest.Item], host: Host) -> None:
    """Read what the benchmarks among *items* are held to.

    Raises:
        BaselineError: as :func:`prepare`, and where no benchmark has a limit and no baseline was named.

    """
    benchmarks = [item for item in items if pytest_items.full_name_of(item, host) is not None]
    if not benchmarks:
        return
    prepare(host)
    if host.gate is None or host.gate.name is not None or host.is_worker:
        return
    if not any(pytest_items.options_of(item, host).limit() for item in benchmarks):
        raise BaselineError(
            "--sd-gate has nothing to hold the benchmarks to",
            why="no baseline was named, and no benchmark has a limit",
            fix="add --sd-baseline=NAME, or a limit: @pytest.mark.sdbatch(limit={'peak_memory': '20GiB'})",
        )


def prepare(host: Host) -> None:
    """Read what this run is held to; call it once benchmarks are known to run.

    Raises:
        BaselineError: where the baseline is missing or cannot be read. Not in a worker: its controller says so.

    """
    options = host.options
    name, enforced = options.text("baseline"), options.switch("gate")
    if host.gate is not None or host.config.option.collectonly or not (name or enforced):
        return
    if host.only_check:
        host.hints.append("nothing is compared or gated: nothing is measured (--benchmark-disable)")
        return
    host.gate = Gate(enforced=enforced, name=name)
    if host.parallel > 1 or name is None:
        if name is None and not host.is_worker:
            host.hints.append("gate: limits alone, for no baseline was named")
        return
    try:
        host.gate.base = baseline.read(host, name)
    except BaselineError:
        if not host.is_worker:
            raise
    if host.gate.base and not host.is_worker:
        runs, since = units.count(len(host.gate.base), "run"), host.gate.base[0].started_at[:10]
        word = "gate against" if enforced else "compared with"
        host.hints.append(f"{word} {host.gate.base[0].file}: {runs}, recorded {since}")
        host.hints += baseline.own_words(host, name)


@contextlib.contextmanager
def held(item: pytest.Item, host: Host) -> Iterator[None]:
    """Fail the test *item* around whose phase this is, where its case breaks what it is held to."""
    skipped: BaseException | None = None
    try:
        yield
    except pytest.skip.Exception as ended:
        skipped = ended
    found = _failure(item, host)
    if found is not None:
        pytest_items.leave_out(item)
        item.stash[_BROKEN] = True
        raise pytest.fail.Exception(found, pytrace=False) from None  # how the case was skipped is said in it
    if skipped is not None:
        raise skipped


def insist(item: pytest.Item, report: pytest.TestReport) -> None:
    """Let *report* fail where the gate failed the test *item*: xfail is for what the test itself finds."""
    if item.stash.get(_BROKEN, False) and hasattr(report, "wasxfail"):
        report.outcome = "failed"
        del report.wasxfail


def attach(item: pytest.Item, report: pytest.TestReport, record: Record) -> None:
    """Let *report* carry what the gate needs to know of its test, as plain builtins."""
    from pytest_sdbatch.host import host_of
    from pytest_sdbatch.records import full_name

    host = host_of(item.config)
    if host.gate is None:
        return
    options = pytest_items.options_of(item, host)
    told = {"name": full_name(record.test, record.case), "budget": dict(options.budget())}
    vars(report)[_TOLD] = {**told, "limited": bool(options.limit())}


def verdict_alone(item: pytest.Item, report: pytest.TestReport) -> str | None:
    """Return against what the case of *item* regressed, where its test failed for nothing else so far."""
    return item.stash.get(_REGRESSED, None) if report.when == "call" else None


def hear(report: pytest.TestReport, host: Host) -> None:
    """Take note of the test of *report*."""
    told = vars(report).get(_TOLD)
    if told is not None and host.gate is not None:
        host.gate.tell(report, told)


def leave_out(items: Sequence[pytest.Item], host: Host) -> None:
    """Take note of tests that were deselected: they are not missing."""
    if host.options.text("baseline") is not None:
        host.deselected.update(name for item in items if (name := pytest_items.full_name_of(item, host)) is not None)


def _failure(item: pytest.Item, host: Host) -> str | None:
    """Return what to say of the case of *item*, measured or not, where it breaks what it is held to."""
    record = item.stash.get(pytest_items.RECORD, None)
    if host.gate is None or not host.gate.enforced or record is None:
        return None
    from pytest_sdbatch.analysis.config import MEMORY_TOLERANCE
    from pytest_sdbatch.analysis.exact_rules import exact_regression
    from pytest_sdbatch.analysis.limits import unknown_limits
    from pytest_sdbatch.records import Outcome, full_name
    from pytest_sdbatch.report.gate import own_failure
    from pytest_sdbatch.storage.sides import measured_of

    options = pytest_items.options_of(item, host)
    broken = [record.reason or ""] if record.outcome is Outcome.OVER_LIMIT else []
    broken += unknown_limits(record, options.limit())
    name, tolerance = full_name(record.test, record.case), options.budget().get("peak_memory", MEMORY_TOLERANCE)
    base = [run.cases[name] for run in host.gate.base if name in run.cases]
    now = measured_of(record, host.session.environment)
    if record.outcome is Outcome.SKIPPED and host.session.larger_than_fits(record.test, record.case) is not None:
        now = replace(now, state=Outcome.OOM.value)  # not tried, because less did not fit
    worse = exact_regression(base, now, memory_tolerance=tolerance) if base and not broken else None
    if not broken and worse is None:
        return None
    if worse is not None and record.outcome is Outcome.OK:
        item.stash[_REGRESSED] = f"regressed against {host.gate.name}"
    return own_failure(name, broken=broken, worse=worse, baseline=host.gate.name, memory_tolerance=tolerance)

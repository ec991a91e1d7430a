"""What a run is held to, and which of its tests the gate fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from configured import ONE, host_with, items_with, record_of, report_of
from reported import run

from pytest_sdbatch.bridges import gate, pytest_items
from pytest_sdbatch.bridges.gate import Gate
from pytest_sdbatch.errors import BaselineError
from pytest_sdbatch.host import host_of
from pytest_sdbatch.records import Outcome
from pytest_sdbatch.storage.run_file import write_run

LIMITED = """
import pytest

@pytest.mark.sdbatch(limit={"peak_memory": "20GiB"}, budget={"time": "3%"})
def test_it(sd_benchmark): pass
"""


@pytest.mark.parametrize(
    ("arguments", "gated"),
    [
        ((), False),
        (("--sd-gate",), True),
        (("--sd-baseline=then.json",), True),
        (("--sd-gate", "--collect-only"), False),
        (("--sd-gate", "-o", "sd_fail_on=inconclusive"), True),
    ],
)
def test_a_run_is_held_to_what_it_was_asked_for(
    pytester: pytest.Pytester, arguments: tuple[str, ...], gated: bool
) -> None:
    """A baseline is compared with, with or without a gate; a list of tests is neither."""
    write_run(pytester.path / "then.json", [run()])
    host = host_with(pytester, *arguments)

    gate.prepare(host)

    assert (host.gate is not None) == gated
    if host.gate is not None:
        assert host.gate.enforced == ("--sd-gate" in arguments)
        assert len(host.gate.base) == (1 if host.gate.name else 0)


def test_what_a_run_is_compared_with_is_said(pytester: pytest.Pytester) -> None:
    """How many runs, and since when they are there; whether that fails anything is another word."""
    write_run(pytester.path / "then.json", [run()])
    hosts = [host_with(pytester, "--sd-baseline=then.json", *more) for more in ((), ("--sd-gate",))]
    for host in hosts:
        gate.prepare(host)

    (shown,), (enforced,) = (host.hints for host in hosts)
    assert shown.startswith("compared with ")
    assert enforced.startswith("gate against ")
    assert ": 1 run, recorded 20" in shown


def test_a_check_of_the_tests_is_held_to_nothing(pytester: pytest.Pytester) -> None:
    """Nothing is measured, so nothing is looked up, and that is said."""
    host = host_with(pytester, "--sd-baseline=nowhere", "--benchmark-disable")

    gate.prepare(host)

    assert host.gate is None
    assert host.hints == ["nothing is compared or gated: nothing is measured (--benchmark-disable)"]


@pytest.mark.parametrize(("source", "refused"), [(ONE, True), (LIMITED, False), ("def test_plain(): pass\n", False)])
def test_a_gate_without_baseline_and_limit_is_refused(pytester: pytest.Pytester, source: str, refused: bool) -> None:
    """It could only be green. A limit is enough; other tests need neither."""
    items = items_with(pytester, "--sd-gate", source=source)
    host = host_of(items[0].config)

    if not refused:
        gate.collected(items, host)
        return
    with pytest.raises(BaselineError, match="nothing to hold the benchmarks to"):
        gate.collected(items, host)


def end(held: object, raised: BaseException | None = None) -> Iterator[None]:
    """Make a phase of a test within *held*."""
    with held:  # type: ignore[attr-defined]
        if raised is not None:
            raise raised
        yield


@pytest.mark.parametrize(("words", "fails"), [(("--sd-gate",), True), ((), False)])
def test_a_case_over_its_limit_fails_its_test_under_the_gate(
    pytester: pytest.Pytester, words: tuple[str, ...], fails: bool
) -> None:
    """It was skipped, which the failure takes the place of; without the gate it stays skipped."""
    (item,) = items_with(pytester, "--sd-batch-sizes=1", *words, source=LIMITED)
    host = host_of(item.config)
    gate.collected([item], host)
    item.stash[pytest_items.RECORD] = record_of(item, 1.0, outcome=Outcome.OVER_LIMIT, reason="30 GiB, at most 20 GiB")

    with pytest.raises(pytest.fail.Exception if fails else pytest.skip.Exception) as caught:
        list(end(gate.held(item, host), pytest.skip.Exception("over-limit")))

    assert ("limit: 30 GiB, at most 20 GiB" in str(caught.value)) == fails


def test_a_case_within_its_limits_passes(pytester: pytest.Pytester) -> None:
    """Neither does the gate judge a test that has not measured yet, as in its set-up."""
    (item,) = items_with(pytester, "--sd-batch-sizes=1", "--sd-gate", source=LIMITED)
    host = host_of(item.config)
    gate.collected([item], host)

    assert list(end(gate.held(item, host))) == [None]
    item.stash[pytest_items.RECORD] = record_of(item, *[1.0] * 5)
    assert list(end(gate.held(item, host))) == [None]


def test_what_a_test_raises_itself_passes_through(pytester: pytest.Pytester) -> None:
    """The gate adds failures; it hides none."""
    (item,) = items_with(pytester, "--sd-batch-sizes=1", "--sd-gate", source=LIMITED)
    host = host_of(item.config)
    gate.collected([item], host)
    item.stash[pytest_items.RECORD] = record_of(item, 1.0, outcome=Outcome.OVER_LIMIT, reason="too slow")

    with pytest.raises(ZeroDivisionError):
        list(end(gate.held(item, host), ZeroDivisionError()))


def test_an_expected_failure_excuses_the_test_and_not_the_gate(pytester: pytest.Pytester) -> None:
    """Xfail is for what the test itself finds."""
    (item,) = items_with(pytester, "--sd-batch-sizes=1", "--sd-gate", source=LIMITED)
    host = host_of(item.config)
    gate.collected([item], host)
    own, of_gate = (report_of(item, outcome="skipped", wasxfail="known") for _ in range(2))

    gate.insist(item, own)
    item.stash[pytest_items.RECORD] = record_of(item, 1.0, outcome=Outcome.OVER_LIMIT, reason="too slow")
    with pytest.raises(pytest.fail.Exception):
        list(end(gate.held(item, host)))
    gate.insist(item, of_gate)

    assert (own.outcome, own.wasxfail) == ("skipped", "known")
    assert of_gate.outcome == "failed"
    assert not hasattr(of_gate, "wasxfail")


@pytest.mark.parametrize(
    ("fields", "failed"),
    [({}, False), ({"outcome": "failed"}, True), ({"outcome": "failed", "wasxfail": "strict"}, False)],
)
def test_the_gate_hears_of_each_test_what_it_needs(
    pytester: pytest.Pytester, fields: dict[str, object], failed: bool
) -> None:
    """On the report, as plain builtins, since a worker may have run it: budget, limit, and whether it failed."""
    (item,) = items_with(pytester, "--sd-batch-sizes=1", "--sd-gate", source=LIMITED)
    host = host_of(item.config)
    host.gate = Gate(enforced=True, name=None)
    report = report_of(item, **fields)

    gate.attach(item, report, record_of(item, 1.0))
    gate.hear(report, host)
    gate.hear(report_of(item), host)  # of a test that measured nothing

    ((name, test),) = host.gate.tests.items()
    assert name == pytest_items.full_name_of(item, host)
    assert (test.budget, test.limited, test.failed) == ({"time": 0.03}, True, failed)


def test_what_was_deselected_is_remembered_where_there_is_a_baseline(pytester: pytest.Pytester) -> None:
    """It is not missing; without a baseline nothing is."""
    with_baseline = items_with(pytester, "--sd-batch-sizes=1", "--sd-baseline=then.json")
    without = items_with(pytester, "--sd-batch-sizes=1")
    for items in (with_baseline, without):
        gate.leave_out(items, host_of(items[0].config))

    (item,) = with_baseline
    assert host_of(item.config).deselected == {pytest_items.full_name_of(item, host_of(item.config))}
    assert host_of(without[0].config).deselected == set()

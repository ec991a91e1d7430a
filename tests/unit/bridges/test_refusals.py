"""What ends a run with a gate before it measures."""

from __future__ import annotations

import pytest
from configured import host_with, items_with, screen_of

from pytest_sdbatch.bridges import refusals
from pytest_sdbatch.errors import BaselineError
from pytest_sdbatch.host import host_of


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--benchmark-compare-fail=mean:5%",), "--benchmark-compare-fail with --sd-gate: two gates"),
        (("--sd-resume",), "--sd-gate with --sd-resume"),
        (("--benchmark-disable",), "--sd-gate with --benchmark-disable"),
    ],
)
def test_what_contradicts_a_gate_is_refused(pytester: pytest.Pytester, arguments: tuple[str, ...], what: str) -> None:
    """When pytest is configured, before it has looked for a test."""
    with pytest.raises(pytest.UsageError, match=what):
        host_with(pytester, "--sd-gate", *arguments)


def test_a_gate_of_the_configuration_bears_a_check_of_the_tests(pytester: pytest.Pytester) -> None:
    """--benchmark-disable is typed for one run; the file holds for all."""
    pytester.makeini("[pytest]\nsd_gate = yes\n")

    assert host_with(pytester, "--benchmark-disable").only_check


@pytest.mark.parametrize(
    ("arguments", "workers", "refused"),
    [
        (("--sd-gate", "--sd-baseline=main"), 2, True),
        (("--sd-gate", "-o", "sd_baseline=main"), 2, True),
        (("--sd-gate", "--sd-baseline=main"), 1, False),
        (("--sd-baseline=main",), 2, False),
        (("--sd-gate",), 2, False),
        (("--sd-gate", "--sd-baseline=main", "--sd-plan"), 2, True),
    ],
)
def test_workers_are_not_gated_against_a_process_alone(
    pytester: pytest.Pytester, arguments: tuple[str, ...], workers: int, refused: bool
) -> None:
    """They take time from each other. Without a gate the comparison is only left out; limits may be kept by workers."""
    host = host_with(pytester, *arguments)

    if not refused:
        refusals.refuse_workers(host, workers)
        return
    with pytest.raises(BaselineError) as caught:
        refusals.refuse_workers(host, workers)
    assert (caught.value.what.startswith("a run of 2 workers"), caught.value.fix) == (True, "add -n0")


def test_a_gate_that_only_files_ask_for_does_not_refuse_workers(pytester: pytest.Pytester) -> None:
    """They are of a project's unit tests, mostly."""
    pytester.makeini("[pytest]\nsd_gate = yes\nsd_baseline = main\n")

    refusals.refuse_workers(host_with(pytester), 8)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--sd-baseline=nowhere",), 12),
        (("--sd-baseline=nowhere.json", "--sd-gate"), 12),
        (("--sd-baseline=nowhere", "-n", "2"), 12),
        (("--sd-baseline=nowhere", "--help"), None),
        (("--sd-baseline=nowhere", "--sd-batch-sizes=x"), None),
        (("--sd-baseline=nowhere", "--benchmark-disable"), None),
        (("--sd-gate",), None),
        ((), None),
    ],
)
def test_a_missing_baseline_ends_pytest_before_it_is_set_up(
    pytester: pytest.Pytester, arguments: tuple[str, ...], status: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """One error on stderr, and the status of a comparison that was not made; other mistakes are said when they show."""
    config = pytester.parseconfig("-p", "no:cacheprovider", *arguments)

    assert refusals.end_early(config) == status
    said = capsys.readouterr().err
    assert said.startswith("ERROR: no baseline ") if status else said == ""


def test_a_refused_run_runs_nothing(pytester: pytest.Pytester) -> None:
    """Its error stands where the table would."""
    items = items_with(pytester, "--sd-batch-sizes=1")
    host = host_of(items[0].config)

    refusals.refuse(BaselineError("no baseline main", fix="record one"), host, items)

    assert items == []
    assert host.refused
    assert host.notes == ["ERROR: no baseline main\n  do:  record one"]


def test_workers_that_have_started_end_with_the_status(pytester: pytest.Pytester) -> None:
    """Pytest's own way out, with the error on the screen."""
    host = host_with(pytester)
    screen = screen_of(host)

    with pytest.raises(pytest.exit.Exception) as caught:
        refusals.end_run(BaselineError("no baseline main", fix="record one"), host.config)

    assert caught.value.returncode == 12
    assert screen.getvalue() == "ERROR: no baseline main\n  do:  record one\n"

"""What a run leaves behind when it ends, and what that does to its exit status."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from configured import items_with, record_of

from pytest_sdbatch.bridges import run_files
from pytest_sdbatch.host import Host, host_of
from pytest_sdbatch.storage.run_file import read_run_file

OK, FAILED, STOPPED, USAGE, NONE = (pytest.ExitCode(code) for code in (0, 1, 2, 4, 5))


def made(pytester: pytest.Pytester, *arguments: str, measured: bool = True) -> Host:
    """Return the host of a run that expected a benchmark, and has measured it or not."""
    (item,) = items_with(pytester, "--sd-batch-sizes=1", *arguments)
    host = host_of(item.config)
    host.progress.expect([item.nodeid])
    if measured:
        host.session.keep(record_of(item, *[1.0] * 6))
        host.progress.end(item.nodeid, 1.0)
    return host


def ended(host: Host, status: pytest.ExitCode = OK) -> int:
    """Return the exit status of a run that pytest would end with *status*."""
    session: Any = SimpleNamespace(exitstatus=status, config=host.config)
    run_files.finish(session, host)
    return int(session.exitstatus)


def test_every_file_that_was_asked_for_is_written_and_said(pytester: pytest.Pytester) -> None:
    """Run files first, then what is made of them."""
    host = made(pytester, "--sd-report=r.md", "--sd-report=run.json", "--sd-report=r.csv", "--sd-save=main")

    assert ended(host) == 0

    assert [note.partition(":")[0] for note in host.notes] == ["run file", "baseline", "report", "report"]
    (run,) = read_run_file(Path("run.json"))
    assert not run.interrupted
    assert Path("r.md").is_file()
    assert Path("r.csv").is_file()


@pytest.mark.parametrize("status", [STOPPED, OK])
def test_a_run_that_did_not_come_to_its_end_is_stored_as_such(
    pytester: pytest.Pytester, status: pytest.ExitCode
) -> None:
    """It was stopped, or a benchmark is missing; and it is no baseline."""
    host = made(pytester, "--sd-report=run.json", "--sd-save=main")
    if status is OK:
        host.progress.expect(["one that did not run"])

    assert ended(host, status) == max(int(status), 1)

    assert read_run_file(Path("run.json"))[0].interrupted
    assert any(note.startswith("ERROR: ") and "was not written" in note for note in host.notes)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--sd-report=run.json",), 1, ["ERROR: no benchmark was measured, so no run file was written"]),
        (("-o", "sd_report=run.json"), 1, ["ERROR: no benchmark was measured, so no run file was written"]),
        (("--sd-report=run.json", "--benchmark-disable"), 0, []),
        (("--sd-report=run.json", "--sd-plan"), 0, []),
        ((), 0, []),
    ],
)
def test_a_file_that_was_typed_for_is_missed(
    pytester: pytest.Pytester, arguments: tuple[str, ...], status: int, said: list[str]
) -> None:
    """Whoever typed it would look for it in vain; nobody does after a plan or a check."""
    host = made(pytester, *arguments, measured=False)

    assert (ended(host), host.notes) == (status, said)


def test_a_file_of_the_configuration_is_not_missed(pytester: pytest.Pytester) -> None:
    """A project's unit tests measure nothing."""
    pytester.makeini("[pytest]\nsd_report = run.json\n")
    host = made(pytester, measured=False)

    assert (ended(host), host.notes) == (0, [])


def test_a_file_that_cannot_be_written_turns_the_run_red(pytester: pytest.Pytester) -> None:
    """The others are written all the same; a status that pytest has stays."""
    host = made(pytester, "--sd-report=run.json", "--sd-report=r.csv")
    Path("run.json").write_text("theirs")

    assert ended(host) == 1
    assert Path("run.json").read_text() == "theirs"
    assert Path("r.csv").is_file()
    assert [note[:5] for note in host.notes] == ["ERROR", "repor"]


@pytest.mark.parametrize(("status", "ends"), [(NONE, 12), (FAILED, 1)])
def test_a_run_that_was_refused_leaves_nothing(pytester: pytest.Pytester, status: pytest.ExitCode, ends: int) -> None:
    """Its status is that of a comparison that was not made, unless something else failed."""
    host = made(pytester, "--sd-report=run.json")
    host.refused = True

    assert ended(host, status) == ends
    assert not Path("run.json").exists()


def test_what_was_taken_over_is_no_result_of_a_refused_command_line(pytester: pytest.Pytester) -> None:
    """Nothing ran."""
    host = made(pytester, "--sd-report=run.json")

    assert ended(host, USAGE) == 4
    assert not Path("run.json").exists()


def test_a_run_in_which_all_was_measured_before_is_a_success(pytester: pytest.Pytester) -> None:
    """Pytest found no test to run, since each had its record."""
    host = made(pytester)
    host.kept = {("t", "c"): SimpleNamespace()}  # type: ignore[dict-item]

    assert ended(host, NONE) == 0

"""Runs that survive: the journal of this one, and what is taken over from one that was interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_sdbatch import units
from pytest_sdbatch.bridges import pytest_items
from pytest_sdbatch.options import TABLE

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.storage.journal import Entry

_PASSED_ON = "sdbatch_resume"  # key of xdist's workerinput


def folder(host: Host) -> Path:
    """Return where the journals of this project lie, or the one of a process that was told where."""
    from pytest_sdbatch.host import JOURNALS
    from pytest_sdbatch.storage.journal import FOLDER

    return host.config.stash.get(JOURNALS, host.config.rootpath / FOLDER)


def asked(host: Host) -> bool:
    """Return whether an interrupted run is to be gone on with."""
    return host.options.switch("resume") and not host.only_check


def take_over(host: Host) -> None:
    """Put the settled records of the last run, if it was interrupted, into this one's session.

    Raises:
        RunFileError: for a journal that is damaged or being written, or of another place.

    """
    from pytest_sdbatch.storage.journal import read_journal
    from pytest_sdbatch.storage.resume import check_same_options, check_same_place, settled

    if host.is_worker:
        given = host.config.workerinput[_PASSED_ON]  # type: ignore[attr-defined]
        path = Path(given) if given else None
    else:
        path = _of_the_same_tests(host)
    stored = read_journal(path) if path is not None else None
    if stored is None or stored.whole:
        if stored is not None:
            host.hints.append(f"nothing to resume: the run of {stored.run.started_at} ended whole")
        check_report(host)
        return
    entries = settled(stored)
    if entries and not host.is_worker:
        check_same_place(stored.run, host.session.run(interrupted=True))
        measuring = {row.name for row in TABLE if row.group == "measure"}
        then = {name: text for name, text in stored.run.options.items() if name in measuring}
        check_same_options(stored.run, then, host.options.given("measure"))
    host.resumed = stored
    check_report(host)
    host.kept = entries
    host.hints.append(f"resuming the run of {stored.run.started_at}: {units.count(len(entries), 'case')} kept")
    if entries and any(run.environment.shown.get("dirty") for run in (stored.run, host.session.run(interrupted=True))):
        host.hints.append("there are changes that are not committed: the kept cases may have run other code")
    host.session.take_over(stored.run.id, [entry.record for entry in entries.values()])


def selection(host: Host) -> str:
    """Return which tests a run was asked for: paths, ``-k``, ``-m``, a shard. Its options are compared one by one."""
    words = list(map(str, host.config.args))
    words += [f"{flag} {text}" for flag in ("-k", "-m") if (text := host.config.getoption(flag, ""))]
    if host.options.text("shard") is not None:
        words.append(f"shard {host.options.shard()}")
    return " ".join(words)


def _of_the_same_tests(host: Host) -> Path | None:
    """Return the journal of the newest run that was asked for the same tests; where there is none, say so."""
    from pytest_sdbatch.storage.journal import newest_first, selection_of

    journals = newest_first(folder(host))
    wanted = selection(host)
    for path in journals:
        if selection_of(path) in (wanted, None):  # None: a damaged one, of which reading it tells more
            return path
    said = (
        f"the last run was asked for other tests ({selection_of(journals[0])})"
        if journals
        else "no case has ended here"
    )
    host.hints.append(f"nothing to resume: {said}")
    return None


def check_report(host: Host) -> None:
    """Refuse a ``--sd-report`` that exists, unless it is what the interrupted run left, which this one completes."""
    from pytest_sdbatch.storage.report_file import Kind, check_reports, kind_of
    from pytest_sdbatch.storage.run_file import is_begun_file

    if host.is_worker:
        return
    spelled = host.options.spelled("report")
    run_files = [path for path in host.report_paths if kind_of(path, option=spelled) is Kind.JSON]
    begun = [path for path in run_files if host.resumed is not None and is_begun_file(path, host.resumed.run.id)]
    host.over_reports = begun
    check_reports(host.report_paths, option=spelled, over=begun)


def kept_from(host: Host) -> str:
    """Return in words from which run records were taken over; no text where none was."""
    if host.resumed is None:
        return ""
    return f"kept from the interrupted run of {host.resumed.run.started_at[:16].replace('T', ' ')} UTC"


def pass_on(host: Host, workerinput: dict[str, object]) -> None:
    """Tell a worker which journal is resumed, and whether its controller hands its run in."""
    from pytest_sdbatch.host import HANDS_IN

    workerinput[HANDS_IN] = host.hand_in is not None
    workerinput[_PASSED_ON] = "" if host.resumed is None else str(host.resumed.path)


def begin(host: Host) -> None:
    """Begin the journal of this run, with what was taken over; call it when it is known that benchmarks will run."""
    from pytest_sdbatch.storage.journal import Journal

    if host.is_worker or host.only_check or host.journal is not None or host.together.follows:
        return
    host.journal = Journal(
        folder(host), host.session.run(interrupted=True), selection=selection(host), kept=host.kept.values()
    )


def end(host: Host, *, whole: bool, saved: bool | None) -> None:
    """End the journal, and say what it is good for where cases are missing (not *whole*), or files (not *saved*).

    Args:
        host: of the run.
        whole: whether every case has ended.
        saved: whether all was written that was to be; None: nothing was.

    """
    if host.kept and whole and saved:
        begin(host)  # nothing was left to measure: now there is nothing left to save, and to resume, either
    if host.journal is None:
        return
    lost = saved is False
    host.journal.close(whole=whole and not lost)
    if host.journal.problem is not None:
        host.notes.append(f"ERROR: {host.journal.problem}")
    elif (lost or not whole) and host.records and host.hand_in is None:
        left = host.progress.total - host.progress.ended
        host.notes.append(f"interrupted {_what_now(host, left)}" if not whole else _how_to_save(host))
    host.journal = None


def _what_now(host: Host, left: int) -> str:
    if host.options.switch("gate"):  # which refuses a resumed run
        to_go = f"with {units.count(left, 'case')} to go" if left else "before the verdict"
        return f"{to_go}: a gate judges whole runs, so run the same command again"
    if left:
        return f"with {units.count(left, 'case')} to go: the same command with --sd-resume runs only the rest"
    return "at the last case: --sd-resume runs again what failed"


def _how_to_save(host: Host) -> str:
    without = f", without {host.options.spelled('gate')}," if host.options.switch("gate") else ""
    return f"nothing is lost: --sd-resume{without} keeps what was measured, and writes what could not be written"


def leave_out_kept(items: list[pytest.Item], host: Host) -> None:
    """Under ``--sd-resume`` take the benchmarks whose records are taken over out of *items*, in place.

    One that breaks a limit, which may be another one now, is measured again: no row of it is to be recommended.

    Raises:
        RunFileError: as :func:`take_over`, and where a test has other options now than its record was measured with.

    """
    if not any(pytest_items.case_of_item(item, host) for item in items) or not asked(host):
        return
    from pytest_sdbatch.analysis.limits import has_to_be_measured_again
    from pytest_sdbatch.records import Outcome
    from pytest_sdbatch.storage.resume import check_same_options, check_same_prompts

    take_over(host)
    left_out: list[pytest.Item] = []
    again: set[tuple[str, str]] = set()
    for item in items:
        entry = _entry_of(item, host)
        if entry is not None and host.resumed is not None:
            options = pytest_items.options_of(item, host)
            check_same_options(host.resumed.run, entry.options, options.given("measure"), where=entry.record.test)
            check_same_prompts(host.resumed.run, entry.record, host.prompts(options))
            if entry.record.outcome is Outcome.OK and has_to_be_measured_again(entry.record, options.limit()):
                again.add(entry.record.key)
                continue
            left_out.append(item)
    if again:
        host.kept = {key: entry for key, entry in host.kept.items() if key not in again}
        host.hints.append(f"of these {units.count(len(again), 'case')} now over a limit: measured again")
    if left_out:
        host.config.hook.pytest_deselected(items=left_out)
        gone = set(map(id, left_out))
        items[:] = [item for item in items if id(item) not in gone]


def _entry_of(item: pytest.Item, host: Host) -> Entry | None:
    case = pytest_items.case_of_item(item, host)
    if case is None or not pytest_items.measures(item):
        return None
    assert isinstance(item, pytest.Function)
    return host.kept.get((pytest_items.name_of_test(item, case), case.id))

"""The journal: what a process that was killed, or whose disk ran full, leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Record, Run
from pytest_sdbatch.storage.journal import KEPT, Entry, Journal, newest_first, read_journal, selection_of
from pytest_sdbatch.storage.run_file import is_ours, read_run_file
from pytest_sdbatch.storage.sides import read_side_runs

MakeRecord = Callable[..., Record]
MakeRun = Callable[..., Run]
OPTIONS = {"batch_sizes": "1,2,4"}


def run_id(number: int) -> str:
    """Return the id of a run; a larger number began later."""
    return f"20261124T101500{number:06}Z-0123abcd"


@pytest.fixture
def entries(make_record: MakeRecord) -> list[Entry]:
    """Three finished cases."""
    return [Entry(record=make_record(0.25, 0.5, batch_size=size), options=OPTIONS) for size in (1, 2, 4)]


@pytest.fixture
def run(make_run: MakeRun) -> Run:
    """Return a run whose records are yet to come."""
    return make_run(id=run_id(1), records=(), interrupted=True)


def write(folder: Path, run: Run, entries: list[Entry], *, kept: Sequence[Entry] = (), whole: bool = False) -> Path:
    """Write a journal and return its path."""
    journal = Journal(folder, run, kept=kept)
    for entry in entries:
        journal.add(entry)
    journal.close(whole=whole)
    assert journal.problem is None
    return journal.path


def test_what_was_written_comes_back(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """Header, records and options are the same after reading; the run is not whole unless it was said so."""
    stored = read_journal(write(tmp_path / ".sdbatch", run, entries))

    assert stored is not None
    assert stored.run == run
    assert list(stored.entries) == entries
    assert not stored.whole


def test_a_journal_is_no_run_file(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """Whoever finds one and wants its cases is told how a run file is made of it, be it cut short or of one line."""
    path = write(tmp_path, run, entries)
    header = path.read_bytes().partition(b"\n")[0]

    for content in (path.read_bytes(), header, header[:100]):
        path.write_bytes(content)
        for read in (read_run_file, read_side_runs, is_ours):
            with pytest.raises(RunFileError, match="it is the journal of a run, and no run file") as caught:
                read(path)
            assert "--sd-resume --sd-report=FILE.json" in str(caught.value.fix)


def test_the_tests_that_were_asked_for_are_known(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """The first line alone tells which tests a run was asked for; one that is damaged tells nothing."""
    journal = Journal(tmp_path, run, selection="benchmarks -k fast")
    journal.add(entries[0])
    journal.close(whole=False)
    stored = read_journal(journal.path)

    assert stored is not None
    assert stored.selection == selection_of(journal.path) == "benchmarks -k fast"
    journal.path.write_bytes(b"no json\n")
    assert selection_of(journal.path) is None
    assert selection_of(tmp_path / "missing.jsonl") is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_hold_the_journal_of_its_parent(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """A loader of data that outlives a killed run does not make it look alive."""
    code = (
        "import os, sys, time; from pathlib import Path; from pytest_sdbatch.storage.journal import *; "
        "old = read_journal(Path(sys.argv[1])); "
        "journal = Journal(Path(sys.argv[2]), old.run); journal.add(old.entries[0]); "
        "os.write(1, b'%d\\n' % os.fork()); time.sleep(60)"  # at once: print() writes the line break apart
    )
    old = write(tmp_path / "old", run, entries)
    command = [sys.executable, "-c", code, str(old), str(tmp_path / "new")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = max(int(process.stdout.readline()) for _ in range(2))  # a line of each: the child's own says 0
        try:
            (path,) = newest_first(tmp_path / "new")
            with pytest.raises(RunFileError, match="cannot be resumed"):
                read_journal(path)
            process.kill()
            process.wait()
            assert read_journal(path) is not None
        finally:
            process.kill()
            os.kill(child, signal.SIGKILL)


def test_a_run_that_ended_says_so(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """The last line tells a whole run from one that was killed behind its last case."""
    stored = read_journal(write(tmp_path, run, entries, whole=True))

    assert stored is not None
    assert stored.whole
    assert list(stored.entries) == entries


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cut_keeps_the_lines_before_it(
    tmp_path_factory: pytest.TempPathFactory, run: Run, entries: list[Entry], data: st.DataObject
) -> None:
    """Wherever a killed process or a full disk ended the file, every whole line is read, and nothing else."""
    path = write(tmp_path_factory.mktemp("cut"), run, entries)
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])

    stored = read_journal(path)

    lines = content[:cut].count(b"\n")
    assert (stored is None) is (lines == 0)
    if stored is not None:
        assert list(stored.entries) == entries[: lines - 1]


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_damaged_line_is_named(tmp_path: Path, run: Run, entries: list[Entry], line: int) -> None:
    """A line in the middle that is no longer what was written is refused, with its number, never skipped."""
    path = write(tmp_path, run, entries)
    lines = path.read_bytes().split(b"\n")
    lines[line] = lines[line].replace(b":", b";", 1)
    path.write_bytes(b"\n".join(lines))

    with pytest.raises(RunFileError, match=f"line {line + 1}"):
        read_journal(path)


@pytest.mark.parametrize("options", [b"[1]", b"null", b'{"steps":4}'])
def test_options_of_another_form_are_refused(tmp_path: Path, run: Run, entries: list[Entry], options: bytes) -> None:
    """What is read from the disk has the type that is worked with, or is an error that names the line."""
    path = write(tmp_path, run, entries[:1])
    path.write_bytes(path.read_bytes().replace(b'"options":{"batch_sizes":"1,2,4"}', b'"options":' + options))

    with pytest.raises(RunFileError, match=r"line 2\.options"):
        read_journal(path)


def test_another_schema_is_refused(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """A journal of a version that writes another form is not guessed at."""
    path = write(tmp_path, run, entries)
    path.write_bytes(path.read_bytes().replace(b'"schema":4', b'"schema":99', 1))

    with pytest.raises(RunFileError, match="schema is 99"):
        read_journal(path)


def test_there_is_no_file_before_a_case_has_ended(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """A run that is stopped at once does not take the place of the one before it, whose cases can be gone on with."""
    journal = Journal(tmp_path / ".sdbatch", run, kept=entries[:2])
    journal.close(whole=False)
    Journal(tmp_path / ".sdbatch", run).close(whole=True)

    assert not (tmp_path / ".sdbatch").exists()


def test_a_run_that_had_nothing_left_to_do_ends_the_one_before_it(
    tmp_path: Path, run: Run, entries: list[Entry]
) -> None:
    """All its cases were taken over: else the same run would be taken over for ever."""
    journal = Journal(tmp_path, run, kept=entries)
    journal.close(whole=True)

    stored = read_journal(journal.path)
    assert stored is not None
    assert stored.whole
    assert list(stored.entries) == entries


def test_what_was_taken_over_is_there_with_the_first_case(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """Killed at any moment, a resumed run leaves all that the run before it had, in its own journal or in the old."""
    journal = Journal(tmp_path, run, kept=entries[:2])
    journal.add(entries[2])

    lines = journal.path.read_bytes().splitlines()
    journal.close(whole=False)
    stored = read_journal(journal.path)
    assert len(lines) == 4
    assert stored is not None
    assert list(stored.entries) == entries


def test_the_last_five_are_kept(tmp_path: Path, make_run: MakeRun, entries: list[Entry]) -> None:
    """A new journal removes the oldest, and nothing that is not a journal."""
    (tmp_path / "notes.jsonl").write_text("mine")
    (tmp_path / "20200101T000000000000Z-0123abcd.jsonl").mkdir()

    for number in range(KEPT + 2):
        write(tmp_path, make_run(id=run_id(number), records=()), entries[:1])

    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert names == {"notes.jsonl", ".gitignore", *(f"{run_id(number)}.jsonl" for number in range(2, KEPT + 2))}
    assert newest_first(tmp_path)[0] == tmp_path / f"{run_id(KEPT + 1)}.jsonl"


def test_each_shard_keeps_its_own_five(tmp_path: Path, make_run: MakeRun, entries: list[Entry]) -> None:
    """Many shards in one folder, as on a cluster, do not remove each other's journals."""
    for number in range(KEPT + 1):
        for part in (1, 2):
            run = make_run(id=run_id(2 * number + part), records=())
            journal = Journal(tmp_path, run, selection=f"benchmarks shard {part}/2")
            journal.add(entries[0])
            journal.close(whole=True)

    assert len(newest_first(tmp_path)) == 2 * KEPT


def test_a_journal_that_is_being_written_is_neither_removed_nor_resumed(
    tmp_path: Path, make_run: MakeRun, entries: list[Entry]
) -> None:
    """Two runs of one project at a time do not take each other's records."""
    old = Journal(tmp_path, make_run(id=run_id(0), records=()))
    old.add(entries[0])
    for number in range(1, KEPT + 2):
        write(tmp_path, make_run(id=run_id(number), records=()), entries[:1])

    assert old.path.exists()
    with pytest.raises(RunFileError, match="its run has not ended"):
        read_journal(old.path)
    old.close(whole=False)
    assert read_journal(old.path) is not None


def test_git_ignores_the_folder(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """A repository that knows nothing of the plugin stays clean."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)

    write(tmp_path / ".sdbatch", run, entries)

    said = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert said.stdout == ""


def test_a_link_in_the_place_of_a_journal_is_not_followed(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """Nobody who can write to the folder makes us write to another file."""
    target = tmp_path / "precious"
    target.write_text("kept")
    (tmp_path / f"{run.id}.jsonl").symlink_to(target)

    journal = Journal(tmp_path, run)
    journal.add(entries[0])
    journal.close(whole=True)

    assert journal.problem is not None
    assert target.read_text() == "kept"
    assert newest_first(tmp_path) == []


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """Nobody who sends a project chooses the folder where we write and remove files."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".sdbatch").symlink_to(tmp_path / "elsewhere")

    journal = Journal(tmp_path / ".sdbatch", run)
    journal.add(entries[0])
    journal.close(whole=True)

    assert "symbolic link" in str(journal.problem)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_cannot_be_made_costs_the_protection_only(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """Where a file stands in the way, the problem is kept for the end of the run, and writing does nothing."""
    (tmp_path / ".sdbatch").write_text("a file")

    journal = Journal(tmp_path / ".sdbatch", run)
    journal.add(entries[0])
    journal.close(whole=False)

    assert journal.problem is not None
    assert "the run goes on" in str(journal.problem)


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    from pytest_sdbatch.storage.journal import Entry, Journal, read_journal

    old = read_journal(Path(sys.argv[1]))
    journal = Journal(Path(sys.argv[2]), old.run)
    journal.add(old.entries[0])
    size = journal.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, resource.RLIM_INFINITY))
    journal.add(old.entries[1])
    assert "larger than this process may write" in str(journal.problem), journal.problem
    assert journal.path.stat().st_size == size
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.add(old.entries[2])
    assert journal.problem is None
    journal.close(whole=False)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_disk_that_is_full_for_a_while_loses_nothing(tmp_path: Path, run: Run, entries: list[Entry]) -> None:
    """Half a line is taken back, and what did not fit is written as soon as there is room."""
    source = write(tmp_path / "old", run, entries)

    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(source), str(tmp_path / "new")],
        check=True,
        env={**os.environ},
    )

    stored = read_journal(tmp_path / "new" / source.name)
    assert stored is not None
    assert list(stored.entries) == entries

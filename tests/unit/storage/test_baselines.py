"""Runs that are stored for later comparisons, here in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_sdbatch.errors import RunFileError, UnfitError
from pytest_sdbatch.records import Outcome, Record, Run
from pytest_sdbatch.storage.baselines import BaselineFolder, recorded_seconds, save_baseline
from pytest_sdbatch.storage.run_file import read_run_file

MakeRecord = Callable[..., Record]
MakeRun = Callable[..., Run]
KEY = "main/cpu.json"


@pytest.fixture
def folder(tmp_path: Path) -> BaselineFolder:
    """Return a folder that nothing has been stored in."""
    return BaselineFolder(path=tmp_path / "baselines")


def test_sound_runs_are_stored_together(folder: BaselineFolder, make_record: MakeRecord, make_run: MakeRun) -> None:
    """In one file, whose folder is made."""
    runs = [make_run(make_record(*[0.5] * 5), id=id_) for id_ in "ab"]

    assert save_baseline(folder, KEY, runs, anyway=False) == f"baseline: {folder.path / KEY}"
    assert list(read_run_file(folder.path / KEY)) == runs


def test_a_run_of_few_rounds_is_stored_and_said_to_give_no_verdict_on_time(
    folder: BaselineFolder, make_record: MakeRecord, make_run: MakeRun
) -> None:
    """In every run, and not for want of memory. Memory and outcomes are compared with it all the same."""
    few, whole = make_record(0.5, 0.5), make_record(*[0.5] * 5, batch_size=2)
    sometimes = [make_record(*[0.5] * count, batch_size=4) for count in (3, 6)]
    too_large = make_record(0.5, 0.5, batch_size=8, outcome=Outcome.OOM)
    runs = [make_run(few, whole, one, too_large, id=id_) for id_, one in zip("ab", sometimes, strict=True)]

    assert save_baseline(folder, KEY, runs, anyway=False) == (
        f"baseline: {folder.path / KEY} (no verdict on the time of 1 case: fewer than 5 rounds, -o sd_rounds=5)"
    )


def test_a_run_beside_other_work_is_stored_only_when_forced(
    folder: BaselineFolder, make_record: MakeRecord, make_run: MakeRun
) -> None:
    """What is compared with it looks faster than it is. Threads that wait for each other do so later, too."""
    crowded = make_record(*[0.5] * 5, contention="1 thread had 0.4 of 1 core free: something else was running")
    own = make_record(*[0.5] * 5, batch_size=2, contention="2 threads share 1 core, and wait for each other")
    runs = [make_run(crowded, own, id="a"), make_run(own, id="b")]
    why = "run 1 of 2: something else used the cores of 1 case, so that slowdowns would hide behind it: "
    why += f"{crowded.case.id} (beside other work)"

    with pytest.raises(UnfitError) as caught:
        save_baseline(folder, KEY, runs, anyway=False)

    assert caught.value.why == why
    assert save_baseline(folder, KEY, runs, anyway=True) == f"baseline: {folder.path / KEY} (no good one: {why})"


def test_a_bad_run_is_stored_only_when_forced(
    folder: BaselineFolder, make_record: MakeRecord, make_run: MakeRun
) -> None:
    """The reason names run and case, and the line says what was forced."""
    path = folder.path / KEY
    sound, crashed = make_record(*[0.5] * 5), make_record(*[0.5] * 5, outcome=Outcome.CRASHED)
    runs = [make_run(sound, id="a"), make_run(crashed, id="b")]
    reason = "run 2 of 2: 1 of its cases cannot be compared with later: tiny-sd-fp32-64x64-s4-b1x1 (crashed)"

    with pytest.raises(RunFileError, match="was not written") as caught:
        save_baseline(folder, KEY, runs, anyway=False)
    assert caught.value.why == reason
    assert "sd_save_anyway" in caught.value.fix
    assert not path.exists()

    assert save_baseline(folder, KEY, runs, anyway=True) == f"baseline: {path} (no good one: {reason})"
    assert list(read_run_file(path)) == runs


def test_runs_of_two_places_are_no_baseline(folder: BaselineFolder, make_run: MakeRun) -> None:
    """Nothing could be compared with both; not even when forced."""
    there = make_run(id="a")
    elsewhere = replace(there.environment, must_match={**there.environment.must_match, "threads": 4})

    with pytest.raises(RunFileError, match="was not written") as caught:
        save_baseline(folder, KEY, [there, make_run(id="b", environment=elsewhere)], anyway=True)

    assert caught.value.why.endswith("threads 2 -> 4")


def test_a_file_that_is_there_is_never_written_over(folder: BaselineFolder, make_run: MakeRun) -> None:
    """Neither when it is looked for first, which says how to renew it, nor where it appeared since."""
    folder.check_new(KEY)
    folder.write(KEY, [make_run(id="a")])

    with pytest.raises(RunFileError, match="exists") as caught:
        folder.check_new(KEY)
    assert "git rm" in caught.value.fix
    with pytest.raises(RunFileError, match="exists"):
        folder.write(KEY, [make_run(id="b")])
    assert [run.id for run in read_run_file(folder.path / KEY)] == ["a"]


def test_what_is_stored_is_listed_by_name_and_read_whole(folder: BaselineFolder, make_run: MakeRun) -> None:
    """A key is a path below the folder; where nothing is, nothing is read, and that is no error."""
    assert folder.stored() == []
    assert folder.read(KEY) is None
    for key in ("new/cpu.json", KEY, "main/a.json"):
        folder.write(key, [make_run()])
    (folder.path / "main" / "notes.txt").touch()

    assert folder.stored() == ["main/a.json", KEY, "new/cpu.json"]
    assert folder.stored("new") == ["new/cpu.json"]
    found = folder.read(KEY)
    assert found is not None
    assert (found.data, found.file) == ((folder.path / KEY).read_bytes(), str(folder.path / KEY))


def test_what_a_case_took_is_that_of_the_last_run_that_can_be_read(
    folder: BaselineFolder, make_record: MakeRecord, make_run: MakeRun
) -> None:
    """By when runs were started, whatever their files are called; what was not read is said."""
    for key, started, wall_s in (("a/x.json", "2026-11-24", 3.0), ("b/x.json", "2026-11-23", 5.0)):
        folder.write(key, [make_run(make_record(wall_s), started_at=f"{started}T10:15:00+00:00")])
    (folder.path / "c").mkdir()
    (folder.path / "c" / "x.json").write_text("{")

    seconds, unreadable = recorded_seconds(folder, [*folder.stored(), "d/x.json"])

    (took,) = seconds.values()
    assert took == pytest.approx(3.0 + make_record(3.0).untimed_s)
    assert [line.splitlines()[0] for line in unreadable] == [
        f"not used for times: {folder.path / 'c/x.json'} cannot be read: it is no JSON",
        f"not used for times: {folder.path / 'd/x.json'} is gone",
    ]

"""What a sweep on a cluster leaves on the disk, and what a later one may take from it."""

from __future__ import annotations

import errno
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clusters import grid, planned
from reported import environment, out_of_memory, record, run

from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.kept import Earlier, Kept, check_same, code_of, earlier, may_differ, settled
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Outcome
from pytest_sdbatch.storage import exclusive
from pytest_sdbatch.storage.journal import Entry, Journal

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
PLAN = planned(*grid(sd15=(1, 2)))


def test_what_was_kept_is_found_by_the_same_tests(tmp_path: Path) -> None:
    """The runs that came, and what was planned."""
    kept = Kept.begin(tmp_path, PLAN, selection="benchmarks/")
    came = run(record(1))
    kept.add(came, said="1 passed")
    kept.end(whole=False)

    found = earlier(tmp_path, selection="benchmarks/")
    assert isinstance(found, Earlier)
    assert [one.key for one in found.plan.records] == [one.key for one in PLAN.records]
    assert [[one.key for one in run.records] for run in found.runs] == [[came.records[0].key]]
    assert (kept.folder / f"{came.id}.log").read_text() == "1 passed\n"
    assert earlier(tmp_path, selection="other/") == "no sweep of these tests was begun here"


def test_a_sweep_that_ended_whole_is_not_gone_on_with(tmp_path: Path) -> None:
    """Nor is one of nowhere."""
    assert earlier(tmp_path, selection="") == "no sweep was begun here"
    Kept.begin(tmp_path, PLAN, selection="").end(whole=True)

    assert earlier(tmp_path, selection="") == "the last sweep of these tests ended whole"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "")], ids=["stopped", "full"])
@pytest.mark.parametrize("number", [2, 3, 4], ids=["the plan", "what was kept", "what was asked"])
def test_a_sweep_that_could_not_begin_forgets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, number: int
) -> None:
    """Whichever of its files was not written: the one before it is still the last, with its runs."""
    kept, came = Kept.begin(tmp_path, PLAN, selection=""), run(record(1))
    kept.add(came)
    kept.end(whole=False)
    filled: list[Path] = []  # the first is for git
    fill = exclusive._fill

    def fails(path: Path, data: bytes | bytearray) -> None:
        filled.append(path)
        if len(filled) == number:
            raise error
        fill(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(exclusive, "_fill", fails)
        with pytest.raises((KeyboardInterrupt, RunFileError)):
            Kept.begin(tmp_path, PLAN, [came], selection="")

    assert [one.name for one in (tmp_path / ".sdbatch").glob("sweep-*")] == [kept.folder.name]
    Kept.begin(tmp_path, PLAN, [came], selection="").end(whole=False)
    found = earlier(tmp_path, selection="")
    assert isinstance(found, Earlier)
    assert [one.id for one in found.runs] == [came.id]


@pytest.mark.parametrize("lacking", ["cases.json", "asked.json"])
def test_a_sweep_that_was_killed_while_it_began_is_none(tmp_path: Path, lacking: str) -> None:
    """It measured nothing; the one before it did."""
    first, second = (Kept.begin(tmp_path, PLAN, selection="") for _ in range(2))
    for kept in (first, second):
        kept.end(whole=False)
    first.add(run(record(1)))
    (second.folder / lacking).unlink()

    found = earlier(tmp_path, selection="")

    assert isinstance(found, Earlier)
    assert len(found.runs) == 1
    (first.folder / lacking).unlink()
    assert earlier(tmp_path, selection="") == "no sweep was begun here"


def test_the_last_five_are_kept(tmp_path: Path) -> None:
    """Each has the runs of a whole cluster; one that goes on is not removed."""
    begun = [Kept.begin(tmp_path, PLAN, selection="") for _ in range(2)]
    begun[1].end(whole=False)  # the first goes on
    for _ in range(6):
        begun.append(Kept.begin(tmp_path, PLAN, selection=""))
        begun[-1].end(whole=False)

    left = sorted((tmp_path / ".sdbatch").glob("sweep-*"))
    assert left == [begun[0].folder, *(one.folder for one in begun[-5:])]


def test_a_sweep_that_goes_on_is_not_gone_on_with(tmp_path: Path) -> None:
    """By another process, which would measure what the first one does."""
    kept = Kept.begin(tmp_path, PLAN, selection="")

    with pytest.raises(RunFileError, match="cannot be resumed") as raised:
        earlier(tmp_path, selection="")

    assert raised.value.why == "its sweep has not ended"
    kept.end(whole=False)
    assert isinstance(earlier(tmp_path, selection=""), Earlier)


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    """Before anything is measured."""
    (tmp_path / ".sdbatch").write_text("a file")

    with pytest.raises(ClusterError, match="no files can be written there"):
        Kept.begin(tmp_path, PLAN, selection="")


def test_what_its_process_said_may_find_no_room(tmp_path: Path) -> None:
    """That is the one error of the disk, too."""
    kept, came = Kept.begin(tmp_path, PLAN, selection=""), run(record(1))
    (kept.folder / f"{came.id}.log").mkdir()

    with pytest.raises(RunFileError, match="cannot be written"):
        kept.add(came, said="1 passed")


def test_of_a_process_that_died_its_journal_is_read(tmp_path: Path) -> None:
    """With the cases that it had finished."""
    kept = Kept.begin(tmp_path, PLAN, selection="")
    header = replace(run(), id="20261128T101500000000Z-1a2b3c4d")
    journal = Journal(tmp_path / "journals", header)
    for size in (1, 2):
        journal.add(Entry(record=record(size), options={}))
    journal.close(whole=False)

    found = kept.read_journal(journal.path.read_bytes())

    assert found is not None
    assert [one.case.batch_size for one in found.records] == [1, 2]
    assert kept.read_journal(b"") is None


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    """A node may have sent anything."""
    with pytest.raises(RunFileError):
        Kept.begin(tmp_path, PLAN, selection="").read_run(b"{}")


def test_a_curve_with_a_case_to_measure_again_is_measured_whole() -> None:
    """On one device; a run that loses a curve goes on under another id, so that merging takes the later one."""
    whole = run(record(1), out_of_memory(2), number=1)
    crashed = record(2, model="sdxl", outcome=Outcome.CRASHED, test_outcome="failed")
    broken = run(*grid(sd15=(1, 2)), record(1, model="sdxl"), crashed, number=2)
    plan = planned(*broken.records)

    same, fewer = settled([whole, broken], plan, {}, NOW)
    assert same == whole
    assert [(one.case.model, one.case.batch_size) for one in fewer.records] == [("sd15", 1), ("sd15", 2)]
    assert (fewer.id != broken.id, fewer.resumed_from) == (True, broken.id)
    assert settled([broken], plan, {"latency": 0.1}, NOW) == ()
    assert settled([run(record(1))], plan, {}, NOW) == ()


def test_what_was_not_tried_is_settled_where_less_did_not_fit() -> None:
    """Tried alone it would be without the record that says why; skipped for another reason it is tried again."""
    skipped = record(4, outcome=Outcome.SKIPPED, rounds=(), test_outcome="skipped")
    full, lacking = run(record(1), out_of_memory(2), skipped), run(record(1), record(2), skipped)
    plan = planned(record(1), record(2), record(4))

    assert settled([full], plan, {}, NOW) == (full,)
    assert settled([lacking], plan, {}, NOW) == ()


def test_a_case_that_is_not_planned_any_more_is_left_out() -> None:
    """Its test was renamed since, say."""
    (one,) = settled([run(record(1), record(1, test="test_x.py::gone"))], planned(record(1)), {}, NOW)

    assert [found.key for found in one.records] == [record(1).key]


@pytest.mark.parametrize("where", [{"dirty": True}, {"commit": None}])
def test_code_of_which_no_commit_tells_may_differ(where: dict[str, object]) -> None:
    """Then, or now."""
    bare = replace(PLAN, environment=replace(PLAN.environment, shown={**PLAN.environment.shown, **where}))  # type: ignore[dict-item]

    assert may_differ(PLAN, PLAN) == ""
    assert may_differ(bare, PLAN) == may_differ(PLAN, bare) != ""


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (replace(PLAN, options={"batch_sizes": "1,2"}), "batch_sizes was 1,2,4,8,16 and is 1,2"),
        (replace(PLAN, environment=environment(commit="ffff")), "commit was 0123abcdef0123 and is ffff"),
        (replace(PLAN, environment=environment(diffusers="0.43.0")), "diffusers was 0.42.1 and is 0.43.0"),
    ],
)
def test_another_plan_is_refused_with_what_moved(now: object, said: str) -> None:
    """The groups could not have come from one sweep."""
    with pytest.raises(RunFileError, match=said):
        check_same(PLAN, now)  # type: ignore[arg-type]


def test_another_device_of_the_cluster_goes_on_with_it() -> None:
    """Each run tells its own, and groups of several were always in one sweep."""
    check_same(PLAN, replace(PLAN, environment=environment(device_uuid="ffff", driver="590.1")))


def test_a_build_for_another_device_is_the_same_code() -> None:
    """And so is a Python that differs in the last part of its number."""
    drift = {"torch": "2.13.0+cpu", "python": "CPython 3.11.7"}
    one = replace(PLAN, environment=replace(PLAN.environment, drift=drift))
    other = replace(PLAN, environment=replace(PLAN.environment, drift={"torch": "2.13.0", "python": "CPython 3.11.9"}))
    third = replace(PLAN, environment=replace(PLAN.environment, drift={**drift, "python": "CPython 3.12.7"}))

    assert code_of(one) == code_of(other)
    assert code_of(one) != code_of(third)

"""What may be taken over from an interrupted run, and what forbids it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.pipelines.generation import prompts_digest
from pytest_sdbatch.records import Outcome, Record, Run
from pytest_sdbatch.storage.journal import Entry, Stored
from pytest_sdbatch.storage.resume import check_same_options, check_same_place, check_same_prompts, settled

MakeRecord = Callable[..., Record]
MakeRun = Callable[..., Run]


@pytest.mark.parametrize(
    ("outcome", "test_outcome", "is_kept"),
    [
        (Outcome.OK, "passed", True),
        (Outcome.OOM, "skipped", True),
        (Outcome.CRASHED, "skipped", True),  # an expected failure
        (Outcome.OK, "failed", False),
        (Outcome.CRASHED, "failed", False),
        (Outcome.INVALID_OUTPUT, "failed", False),
        (Outcome.SKIPPED, "skipped", False),
        (Outcome.OVER_LIMIT, "skipped", False),
    ],
)
def test_what_failed_or_was_skipped_is_run_again(
    make_record: MakeRecord, make_run: MakeRun, outcome: Outcome, test_outcome: str, is_kept: bool
) -> None:
    """A failure may be mended by now, and a skip costs nothing; all else is settled."""
    record = make_record(0.5, outcome=outcome, test_outcome=test_outcome)
    stored = Stored(path=Path("x"), run=make_run(), entries=(Entry(record=record, options={}),), whole=False)

    assert (record.key in settled(stored)) is is_kept


def test_of_two_records_of_a_case_the_last_decides(make_record: MakeRecord, make_run: MakeRun) -> None:
    """A test whose tear-down failed has a second line, which takes back the first."""
    good = make_record(0.5, test_outcome="passed")
    entries = tuple(Entry(record=record, options={}) for record in (good, replace(good, test_outcome="failed")))

    assert not settled(Stored(path=Path("x"), run=make_run(), entries=entries, whole=False))


def moved(run: Run, **parts: dict[str, object]) -> Run:
    """Return *run* with other facts in parts of its environment."""
    environment = run.environment
    changed = {name: {**getattr(environment, name), **facts} for name, facts in parts.items()}
    return replace(run, environment=replace(environment, **changed))


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("must_match", "device_name", "another card", "device_name was .* and is another card"),
        ("must_match", "parallel", 2, "the number of workers was .* and is 2"),
        ("drift", "torch", "9.9", "torch was .* and is 9.9"),
        ("shown", "commit", "abc", "the commit was .* and is abc"),
    ],
)
def test_another_place_is_refused_by_name(make_run: MakeRun, part: str, key: str, value: object, said: str) -> None:
    """Records of two machines, versions or commits never stand in one run."""
    run = make_run()
    check_same_place(run, run)

    with pytest.raises(RunFileError, match=said):
        check_same_place(run, moved(run, **{part: {key: value}}))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"steps": "4"}, {"steps": "8"}, "steps was 4 and is 8"),
        ({}, {"steps": "8"}, "steps was not given and is 8"),
        ({"steps": "4"}, {}, "steps was 4 and is not given"),
    ],
)
def test_other_options_are_refused_by_name(
    make_run: MakeRun, old: dict[str, str], new: dict[str, str], said: str
) -> None:
    """An option that was changed, added or left out is named with both values."""
    with pytest.raises(RunFileError, match=said) as caught:
        check_same_options(make_run(), old, new)

    assert "leave --sd-resume out" in caught.value.fix


def test_other_prompts_in_the_same_file_are_refused(make_record: MakeRecord, make_run: MakeRun) -> None:
    """The option still names the file that it named then; the record knows what was in it."""
    record = make_record(0.5, must_match={"prompts": prompts_digest(["a cat"])})
    check_same_prompts(make_run(), record, ["a cat"])

    with pytest.raises(RunFileError, match=r"the digest of the prompts of .* was [0-9a-f]{8} and is [0-9a-f]{8}"):
        check_same_prompts(make_run(), record, ["a dog"])

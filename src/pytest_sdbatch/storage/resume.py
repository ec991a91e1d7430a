"""What may be taken over from a run that was interrupted, and what forbids it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_sdbatch.analysis.comparable import Weight, differing, facts_of, moved
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.pipelines.generation import prompts_digest
from pytest_sdbatch.records import Fact, Outcome, Record, Run
from pytest_sdbatch.storage.journal import Entry, Stored

_NAMES = {"parallel": "the number of workers", "commit": "the commit"}


def settled(stored: Stored) -> dict[tuple[str, str], Entry]:
    """Return the entries that need no second measurement, by test and case id; of several of a case the last."""
    last = {entry.record.key: entry for entry in stored.entries}
    return {key: entry for key, entry in last.items() if is_settled(entry.record)}


def is_settled(record: Record) -> bool:
    """Return whether *record* needs no second measurement.

    A case that failed is run again, and so is one that was skipped, which costs nothing: what it lacked may be there.
    So is one that broke a limit, which may be another one now.
    """
    measured = record.outcome not in (Outcome.SKIPPED, Outcome.OVER_LIMIT)
    return measured and record.test_outcome not in ("failed", "regressed")


def check_same_place(then: Run, now: Run) -> None:
    """Refuse to mix records of *then* with those of *now* where they ran on another machine, version or commit.

    Raises:
        RunFileError: names the key that moved, with both values.

    """
    for fact in moved(facts_of(then.environment), facts_of(now.environment)):
        if fact.weight is not Weight.SHOWN or fact.key == "commit":
            raise _refusal(then, fact.key, fact.before, fact.after)


def check_same_options(then: Run, old: Mapping[str, str], new: Mapping[str, str], *, where: str = "") -> None:
    """Refuse to take over a record that was measured under other options.

    Args:
        then: the run that is resumed.
        old: text by option, those that were given then and decide what is measured.
        new: the same of now.
        where: the test whose options these are; empty: of the whole run.

    Raises:
        RunFileError: names the option that moved, with both values.

    """
    _check_equal(then, old, new, where=f" of {where}" if where else "")


def check_same_prompts(then: Run, record: Record, prompts: Sequence[str]) -> None:
    """Refuse to take over a *record* whose file of prompts holds others now.

    Raises:
        RunFileError: names the test, with the digests of both.

    """
    if "prompts" in record.must_match:
        key = "the digest of the prompts"
        old, new = record.must_match["prompts"], prompts_digest(prompts)
        _check_equal(then, {key: old}, {key: new}, where=f" of {record.test}")


def _check_equal(then: Run, old: Mapping[str, Fact], new: Mapping[str, Fact], *, where: str = "") -> None:
    for key, before, after in differing(old, new):
        raise _refusal(then, key, before, after, where=where)


def _refusal(then: Run, key: str, before: Fact, after: Fact, *, where: str = "") -> RunFileError:
    return RunFileError(
        f"--sd-resume: {_NAMES.get(key, key)}{where} was {_shown(before)} and is {_shown(after)}",
        why=f"the records of the run of {then.started_at} cannot stand beside new ones",
        fix="put it back, or leave --sd-resume out: all cases are measured anew",
    )


def _shown(value: Fact) -> str:
    return "not given" if value is None else str(value)

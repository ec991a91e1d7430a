"""Runs of several files as one set: what is the same twice counts once, what disagrees is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_sdbatch.errors import OptionError, RunFileError
from pytest_sdbatch.grid.shards import Shard, parse_shard
from pytest_sdbatch.records import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """All runs, in the order in which they began, and what the reader should know of them."""

    runs: tuple[Run, ...]
    twice: int  # runs that lay in several files, or in a later run that went on with them
    missing: tuple[str, ...]  # shards of which no run is there: "3/4"


def merge(files: Iterable[tuple[str, Sequence[Run]]]) -> Merged:
    """Return the runs of *files*, each a name and what it holds.

    Raises:
        RunFileError: where two runs of one id differ, or shards of one sweep were not planned alike.

    """
    found: dict[str, tuple[str, Run]] = {}
    given = 0
    for name, runs in files:
        for run in runs:
            given += 1
            if run.id in found and found[run.id][1] != run:
                raise _disagree(found[run.id], (name, run))
            found.setdefault(run.id, (name, run))
    gone_on = {run.resumed_from for _, run in found.values() if run.resumed_from is not None}
    kept = {run_id: held for run_id, held in found.items() if run_id not in gone_on}
    return Merged(
        runs=tuple(sorted((run for _, run in kept.values()), key=lambda run: (run.started_at, run.id))),
        twice=given - len(kept),
        missing=tuple(_missing(_plans(kept.values()))),
    )


def _disagree(one: tuple[str, Run], other: tuple[str, Run]) -> RunFileError:
    (first, before), (second, after) = one, other
    records = {record.key: record for record in before.records}
    keys = [record.key for record in after.records if records.get(record.key) != record]
    there = {record.key for record in after.records}
    keys += [key for key in records if key not in there]
    same_header = replace(before, records=()) == replace(after, records=())
    where = " at ".join(keys[0]) if keys else "its header" if not same_header else "the order of its cases"
    return RunFileError(
        f"{first} and {second} disagree on the run {before.id}: {where}",
        why="a run is measured once, so one of the files was changed or is older",
        fix="leave one of them out",
    )


def _shard_of(name: str, run: Run) -> Shard | None:
    text = run.options.get("shard")
    try:
        return None if text is None else parse_shard(text, option=f"{name}: shard")
    except OptionError as error:
        raise RunFileError(error.what, why=error.why) from None


def _plans(runs: Iterable[tuple[str, Run]]) -> dict[tuple[int, str], dict[int, str]]:
    """Return by count and plan the shards that are there, each with a file that holds it."""
    plans: dict[tuple[int, str], dict[int, str]] = {}
    for name, run in runs:
        shard = _shard_of(name, run)
        if shard is not None:
            there = plans.setdefault((shard.count, run.options.get("shard_plan", "")), {})
            there.setdefault(shard.number, name)
    return plans


def _missing(plans: Mapping[tuple[int, str], Mapping[int, str]]) -> Iterator[str]:
    """Yield the shards that are not there, in the order of the plans.

    Raises:
        RunFileError: where shards of one count have several plans, and not each of these is whole.

    """
    first: dict[int, tuple[int, str]] = {}
    for (count, plan), there in plans.items():
        of_first = plans[first.setdefault(count, (count, plan))]
        if of_first is not there and not len(of_first) == len(there) == count:
            one, other = (f"{name} (shard {number}/{count})" for number, name in map(_any, (of_first, there)))
            raise RunFileError(
                f"{one} and {other} were not planned alike, and shards of theirs are missing",
                why="they had other options, other tests or other stored runs: cases may be in two of them, or in none",
                fix="run all shards of a sweep from one commit with the same command; merge each sweep by itself",
            )
        yield from (f"{number}/{count}" for number in range(1, count + 1) if number not in there)


def _any(there: Mapping[int, str]) -> tuple[int, str]:
    return next(iter(there.items()))

"""Runs of several files as one set: what is the same twice counts once, what disagrees is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_sdbatch.errors import OptionError, RunFileError
from pytest_sdbatch.grid.shards import Shard, parse_shard
from pytest_sdbatch.records import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """All runs, in the order in which they began, and what the reader should know of them."""

    runs: tuple[Run, ...]
    twice: int  # runs that lay in several files, or whole in later ones that went on with them
    missing: tuple[str, ...]  # shards of which no run is there: "3/4"


def merge(files: Iterable[tuple[str, Sequence[Run]]]) -> Merged:
    """Return the runs of *files*, each a name and what it holds.

    Raises:
        RunFileError: where two runs of one id differ, a run went on with itself, or shards of one sweep were not
            planned alike.

    """
    found: dict[str, tuple[str, Run]] = {}
    beside: dict[str, list[Run]] = {}  # by run, what lies in the files of those that went on with it
    given = 0
    for name, runs in files:
        for earlier in {run.resumed_from for run in runs if run.resumed_from is not None}:
            beside.setdefault(earlier, []).extend(runs)
        for run in runs:
            given += 1
            if run.id in found and found[run.id][1] != run:
                raise _disagree(found[run.id], (name, run))
            found.setdefault(run.id, (name, run))
    _refuse_circles(found)
    kept = [
        (name, left)
        for name, run in found.values()
        if (left := run if run.id not in beside else _left_of(run, beside[run.id])) is not None
    ]
    return Merged(
        runs=tuple(sorted((run for _, run in kept), key=_begun)),
        twice=given - len(kept),
        missing=tuple(_missing(_plans(kept))),
    )


def _begun(run: Run) -> tuple[str, str]:
    return run.started_at, run.id


def _left_of(run: Run, beside: Sequence[Run]) -> Run | None:
    """Return as a run that goes on with *run* what of it no later run of *beside* holds; None where that is nothing.

    Not only what went on with it counts: a sweep of a cluster measures in other runs of its file what it did not take
    over. But no earlier run does, of which that case may be left out because *run* has it.

    Under an id of its own, for it has another content, and always the same one: a merged file can be merged again.
    """
    later = (other for other in beside if other.resumed_from == run.id or _begun(other) > _begun(run))
    held = {record.key for other in later for record in other.records}
    records = tuple(record for record in run.records if record.key not in held)
    if len(records) == len(run.records):
        return run if records else None
    if not records:
        return None
    digest = hashlib.sha256(repr([record.key for record in records]).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return replace(run, id=f"{run.id}-{digest}", records=records, resumed_from=run.id)


def _refuse_circles(found: Mapping[str, tuple[str, Run]]) -> None:
    """Refuse runs that went on with each other, of which none would be left.

    Raises:
        RunFileError: where there are some; it names one of them.

    """
    checked: set[str] = set()
    for run_id in found:
        path: dict[str, None] = {}
        at: str | None = run_id
        while at is not None and at in found and at not in checked:
            if at in path:
                raise RunFileError(
                    f"{found[at][0]} is damaged: the run {at} went on with itself",
                    why="its resumed_from leads back to it, and a run goes on with an earlier one",
                    fix="leave that file out",
                )
            path[at] = None
            at = found[at][1].resumed_from
        checked.update(path)


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

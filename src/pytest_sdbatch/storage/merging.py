"""Runs of several files as one set: what is the same twice counts once, what disagrees is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
        RunFileError: where two runs of one id differ, or two shards of one run hold the same case: they were planned
            from other grids or other recorded seconds.

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
    shards = {run_id: _shard_of(name, run) for run_id, (name, run) in kept.items()}
    _check_apart([(shard, *kept[run_id]) for run_id, shard in shards.items() if shard is not None])
    return Merged(
        runs=tuple(sorted((run for _, run in kept.values()), key=lambda run: (run.started_at, run.id))),
        twice=given - len(kept),
        missing=_missing([shard for shard in shards.values() if shard is not None]),
    )


def _disagree(one: tuple[str, Run], other: tuple[str, Run]) -> RunFileError:
    (first, before), (second, after) = one, other
    records = {record.key: record for record in before.records}
    keys = [record.key for record in after.records if records.get(record.key) != record]
    keys += [key for key in records if key not in {record.key for record in after.records}]
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


def _check_apart(shards: Iterable[tuple[Shard, str, Run]]) -> None:
    first: dict[tuple[int, tuple[str, str]], tuple[Shard, str]] = {}
    for shard, name, run in shards:
        for record in run.records:
            held, where = first.setdefault((shard.count, record.key), (shard, name))
            if held != shard:
                raise RunFileError(
                    f"{where} (shard {held}) and {name} (shard {shard}) both hold {' at '.join(record.key)}",
                    why="they were not planned alike: other options, other tests, or other stored runs",
                    fix="run all shards from one commit with the same command",
                )


def _missing(shards: Sequence[Shard]) -> tuple[str, ...]:
    there = set(shards)
    counts = dict.fromkeys(shard.count for shard in shards)
    wanted = [Shard(number=number, count=count) for count in counts for number in range(1, count + 1)]
    return tuple(str(shard) for shard in wanted if shard not in there)

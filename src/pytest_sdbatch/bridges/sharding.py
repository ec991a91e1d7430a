"""A shard of a run: what one of several machines leaves to the others."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeAlias, cast

from pytest_sdbatch import units
from pytest_sdbatch.bridges import pytest_items
from pytest_sdbatch.errors import OptionError, RunFileError, SdbatchError
from pytest_sdbatch.options import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest
    from xdist.workermanage import WorkerController

    from pytest_sdbatch.grid.case import Case, PoolKey
    from pytest_sdbatch.grid.shards import Shard
    from pytest_sdbatch.host import Host

    Key: TypeAlias = PoolKey | str

_FOUND = "sdbatch_shard"  # key of xdist's workeroutput: the plan that a worker made, and whether its shard is empty


def check(host: Host) -> None:
    """Refuse a shard that is to be stored as a baseline.

    Raises:
        OptionError: a part of a grid is none, and what one shard stores would change the plan of later ones.

    """
    if host.options.text("shard") is not None and host.options.text("save") is not None:
        raise OptionError(
            f"{host.options.spelled('save')} and {host.options.spelled('shard')} do not go together",
            why="a part of a grid is no baseline of it",
            fix="keep each part by --sd-report=FILE.json and put them together by sdbatch merge: "
            "--sd-baseline takes that file",
        )


def leave_others(items: list[pytest.Item], host: Host) -> None:
    """Take the benchmarks of other shards out of *items*, in place; of tests that measure nothing, all but shard 1's.

    Raises:
        OptionError: as :func:`check`.
        RunFileError: where the shards cannot be planned as the other machines do.

    """
    if host.options.text("shard") is None or not items:  # of nothing at all pytest says so: a name may be mistyped
        return
    shard = host.options.shard()
    cases = [pytest_items.case_of_item(item, host) for item in items]
    keys = [_key_of(item, case) for item, case in zip(items, cases, strict=True)]
    planned = [(key, case) for key, case in zip(keys, cases, strict=True) if key is not None and case is not None]
    dealt: Mapping[Key, int] = {}
    plan = None
    if planned:
        check(host)
        dealt = _dealt(planned, host, shard.count)
        plan = host.session.shard_plan = _digest(dealt)
    numbers = [1 if key is None else dealt[key] for key in keys]
    others = [item for item, number in zip(items, numbers, strict=True) if number != shard.number]
    host.shard_is_empty = shard.number not in (dealt.values() if planned else numbers)
    if host.is_worker:
        found = {"plan": plan, "empty": host.shard_is_empty}
        host.config.workeroutput[_FOUND] = found  # type: ignore[attr-defined]
    _say(shard, dealt, host)
    if others:
        host.config.hook.pytest_deselected(items=others)
        items[:] = [item for item, number in zip(items, numbers, strict=True) if number == shard.number]


def _say(shard: Shard, dealt: Mapping[Key, int], host: Host) -> None:
    pipelines = units.count(len(dealt), "pipeline")
    if host.shard_is_empty and not dealt:
        host.hints.append(f"shard {shard}: no benchmark: tests that measure nothing run in shard 1")
    elif host.shard_is_empty:
        host.hints.append(
            f"shard {shard}: nothing to measure here: {pipelines} for {shard.count} shards, none is split"
        )
    elif dealt:
        of_these = sum(number == shard.number for number in dealt.values())
        host.hints.append(f"shard {shard}: {of_these} of {pipelines}")


def hear(node: WorkerController, host: Host) -> None:
    """Take in what a worker that has ended knew of the shard; its controller collects nothing."""
    found = getattr(node, "workeroutput", {}).get(_FOUND)
    if found is not None and not host.shard_is_empty:
        if found["plan"] is not None:  # without a benchmark there is none, and no device is opened to know it
            host.session.shard_plan = found["plan"]
        host.shard_is_empty = found["empty"]
        if host.shard_is_empty:
            host.notes.append(f"shard {host.options.shard()}: nothing to measure here")


def expected_seconds(cases: Sequence[Case], host: Host) -> tuple[tuple[float, ...], list[str]]:
    """Return what each of *cases* takes, or figures in the same ratio, and in words which stored runs were not read.

    By what cases took in the runs that are stored with the project, on whatever device: every machine of a fleet must
    plan the same shards, though each has runs of its own stored.

    Raises:
        SdbatchError: where it is not known which runs are stored.

    """
    from pytest_sdbatch.storage.baselines import recorded_seconds

    stored, unreadable = recorded_seconds(host.baselines, host.baselines.stored())
    return _seconds(cases, host, stored), unreadable


def guessed_seconds(cases: Sequence[Case], host: Host) -> tuple[float, ...]:
    """Return figures of which only the ratios count, by what each of *cases* is."""
    return _seconds(cases, host, {})


def _seconds(cases: Sequence[Case], host: Host, stored: Mapping[str, float]) -> tuple[float, ...]:
    from pytest_sdbatch.grid.shards import seconds_of, work

    parameters = {model: _parameters(model, host) for model in {case.model for case in cases if case.weights != "own"}}
    works = [work(case, parameters.get(case.model)) for case in cases]
    return seconds_of(works, [stored.get(case.id) for case in cases])


def _key_of(item: pytest.Item, case: Case | None) -> Key | None:
    """Return what is never parted: a pipeline, or a test that brings its own; None for what measures nothing."""
    from pytest_sdbatch.grid.case import loaded_once

    return None if case is None else loaded_once(pytest_items.name_of_test(cast("pytest.Function", item), case), case)


def _dealt(planned: Sequence[tuple[Key, Case]], host: Host, count: int) -> Mapping[Key, int]:
    """Return the shard of each pipeline, and of each test that brings its own.

    Raises:
        RunFileError: where a store does not give all of the stored runs: the other machines may have got them.
    """
    from pytest_sdbatch.grid.shards import deal

    seconds, unreadable = expected_seconds([case for _, case in planned], host)
    if unreadable and is_url(host.options.place()):
        raise RunFileError(
            "this shard cannot be planned",
            why=unreadable[0],
            fix="run it again once that is mended, or plan from a folder on every machine: -o sd_baselines=FOLDER",
        )
    host.notes += unreadable
    return deal(zip((key for key, _ in planned), seconds, strict=True), count)


def _parameters(model: str | None, host: Host) -> int | None:
    try:
        return None if model is None else host.catalog.facts(model).parameters
    except SdbatchError:
        return None


def _digest(dealt: Mapping[Key, int]) -> str:
    """Return what two shards have in common that were planned alike."""
    return hashlib.sha256(repr(sorted(map(repr, dealt.items()))).encode("utf-8", "surrogatepass")).hexdigest()[:8]

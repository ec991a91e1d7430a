"""A shard of a run: what one of several machines leaves to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sdbatch import units
from pytest_sdbatch.bridges import pytest_items
from pytest_sdbatch.errors import SdbatchError

if TYPE_CHECKING:
    import pytest

    from pytest_sdbatch.grid.case import Case, PoolKey
    from pytest_sdbatch.grid.shards import Shard
    from pytest_sdbatch.host import Host


def leave_others(items: list[pytest.Item], host: Host) -> None:
    """Take the benchmarks of other shards out of *items*, in place; of tests that measure nothing, all but shard 1's.

    Raises:
        OptionError: for a text that is no shard.

    """
    if host.options.text("shard") is None or not any(pytest_items.case_of_item(item, host) for item in items):
        return
    shard = host.options.shard()
    dealt = _dealt(items, host, shard)
    ours: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        case = pytest_items.case_of_item(item, host)
        number = 1 if case is None else dealt[case.pool_key]
        (ours if number == shard.number else others).append(item)
    host.shard_is_empty = shard.number not in dealt.values()
    pipelines = units.count(len(dealt), "pipeline")
    if host.shard_is_empty:
        host.hints.append(
            f"shard {shard}: nothing to measure here: {pipelines} for {shard.count} shards, none is split"
        )
    else:
        of_these = sum(number == shard.number for number in dealt.values())
        host.hints.append(f"shard {shard}: {of_these} of {pipelines}")
    if others:
        host.config.hook.pytest_deselected(items=others)
        items[:] = ours


def _dealt(items: list[pytest.Item], host: Host, shard: Shard) -> dict[PoolKey, int]:
    from pytest_sdbatch.grid.shards import deal, seconds_of

    cases = [case for item in items if (case := pytest_items.case_of_item(item, host)) is not None]
    stored = _stored_seconds(host)
    seconds = seconds_of([_work(case, host) for case in cases], [stored.get(case.id) for case in cases])
    return dict(deal(zip((case.pool_key for case in cases), seconds, strict=True), shard.count))


def _work(case: Case, host: Host) -> float:
    from pytest_sdbatch.grid.shards import work

    return work(
        images=case.images,
        steps=case.steps,
        height=case.height,
        width=case.width,
        frames=case.frames,
        parameters=_parameters(case, host),
        training=case.training is not None,
    )


def _parameters(case: Case, host: Host) -> int | None:
    if case.model is None or case.weights == "own":  # a label of the test's own
        return None
    try:
        return host.catalog.facts(case.model).parameters
    except SdbatchError:
        return None


def _stored_seconds(host: Host) -> dict[str, float]:
    """Return what cases took in the runs that are stored with the project, on whatever device, by case id.

    Of whatever device: every machine of a fleet must plan the same shards, though each has runs of its own stored.
    """
    from pytest_sdbatch.storage.baselines import recorded_seconds

    seconds, unreadable = recorded_seconds(sorted(host.baselines_folder.glob("*/*.json")))
    host.notes += unreadable
    return seconds

"""What is said before a run measures: where, what, and how long the cases took when they were last measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pytest_sdbatch import units
from pytest_sdbatch.errors import SdbatchError

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.records import Fact


def lines(host: Host) -> list[str]:
    """Return the lines that say where and what will be measured; none where nothing is."""
    said = []
    if host.grid:
        from pytest_sdbatch.measure import room
        from pytest_sdbatch.report import terminal

        environment = host.session.environment
        said += terminal.header_lines(environment, host.options, host.grid)
        # Workers collect, their controller does not: it knows the options of the run alone.
        guarded = host.guarded or host.options.choice("foreign_processes") == "fail"
        if guarded and "other_processes" in environment.unknown:
            said.append("sdbatch: foreign_processes=fail guards nothing here: other processes are not known")
        said += _over_quota(environment.must_match)
        if host.options.grows:
            said.append(terminal.free_line(room.free_now(host.device)))
    said += [f"sdbatch: {hint}" for hint in host.hints]
    if host.grid and host.options.switch("plan"):
        from pytest_sdbatch.bridges.training_items import memory_of

        said += terminal.plan_lines(host.grid, recorded_seconds(host), memory_of(host.grid, host), host.tests)
    return said


def _over_quota(facts: Mapping[str, Fact]) -> Iterator[str]:
    """Yield what to say where torch has more threads than there is CPU time for: it counts cores, and no quota."""
    threads, quota = facts.get("threads"), facts.get("cpu_quota_cores")
    if isinstance(threads, int) and isinstance(quota, float) and threads > max(1.0, quota):
        yield (
            f"sdbatch: {units.count(threads, 'thread')} share a CPU quota of {units.number(quota)} cores: the times "
            f"include waiting for it; OMP_NUM_THREADS={max(1, int(quota))} ends that"
        )


def recorded_seconds(host: Host) -> dict[str, float]:
    """Return what each case took when a stored run of this device last measured it, by case id."""
    from pytest_sdbatch.storage.baselines import recorded_seconds as recorded_in
    from pytest_sdbatch.storage.names import device_file

    file = device_file(host.session.environment)
    try:
        keys = [key for key in host.baselines.stored() if key.endswith(f"/{file}")]
    except SdbatchError as error:  # of a store that does not answer: the times are only shown
        host.notes.append(f"not used for times: {error}")
        return {}
    seconds, unreadable = recorded_in(host.baselines, keys)
    host.notes += unreadable
    return seconds

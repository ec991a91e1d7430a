"""Which device, or which cores, this process times on, and that nobody else does at the same time.

Under pytest-xdist each worker gets a GPU of its own out of the caller's CUDA_VISIBLE_DEVICES, or a share of the cores.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch import units
from pytest_sdbatch.bridges import pytest_items
from pytest_sdbatch.errors import SdbatchError
from pytest_sdbatch.options import Origin

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.options import Options
    from pytest_sdbatch.records import Fact

VISIBLE = "CUDA_VISIBLE_DEVICES"
NO_GPUS: pytest.StashKey[bool] = pytest.StashKey()  # whether `-n auto` found none to share out
_CORE = "cpu-"  # and its number: the name of its lease
_BESIDE = "{}: their times disturb each other"
_MOST_NAMED = 3
_SUITES = {"pytest_sdbatch.suite", "pytest_sdbatch.suite_training"}
_ALLOW_ALL = ("auto", "cuda")


def hold(item: pytest.Item, host: Host) -> None:
    """Take the lease of this process before its first benchmark; it holds until its tests or the process end."""
    if host.no_lease is not None or host.only_check or not _measures(item, host):
        return
    if host.lease is None:
        _take(host)
    # Those that train together are beside each other, and wait for each other by themselves.
    alone = host.together.count == 1
    if alone and host.lease is not None and host.device.kind == "cpu" and host.device.lease_name is None:
        _look_around(host)


def _take(host: Host) -> None:
    from pytest_sdbatch.devices import lease

    wait_s = host.options.number("lease_seconds")
    name = host.device.lease_name
    choices = [[name]] if name is not None else [[f"{_CORE}{core}" for core in cores] for cores in _core_sets(host)]
    try:
        host.lease = lease.take_any(choices, wait_s=wait_s, on_wait=lambda said: _say(host, said))
    except SdbatchError as error:
        host.no_lease = error
        return
    if name is None and host.lease.names:
        cores = [int(held.removeprefix(_CORE)) for held in host.lease.names]
        lease.stay_on(cores, threads=host.device.kind == "cpu", most=_most_threads(len(choices)))
    if host.parallel > 1:
        host.session.own_facts = _own_facts(host)


def _look_around(host: Host) -> None:
    """Say, each once, which other benchmarks are on this machine's cores: one alone waits for nobody."""
    from pytest_sdbatch.devices import lease

    try:
        if host.present is None:
            host.present = lease.be_present()
        others = set(lease.others_present()) - host.beside if host.parallel < 2 else set()
    except SdbatchError as error:
        if not host.unseen:
            host.unseen = True
            host.notes.append(f"other benchmarks on this machine were not looked for: {error.line}")
        return
    for process in sorted(others):
        host.beside.add(process)
        host.session.beside += 1
        _say(host, _BESIDE.format(f"another benchmark runs on this machine (process {process})"))


def notes(host: Host) -> Iterator[str]:
    """Yield what is said below the table of all the benchmarks that ran beside this one."""
    processes = sorted(host.beside)
    if len(processes) == 1:
        yield _BESIDE.format(f"another benchmark ran on this machine (process {processes[0]})")
    elif processes:
        named = ", ".join(map(str, processes[:_MOST_NAMED])) + (", ..." if len(processes) > _MOST_NAMED else "")
        yield _BESIDE.format(f"{len(processes)} other processes of benchmarks ran on this machine ({named})")


def give_back(host: Host) -> None:
    """Let others have what this process timed on, now that its tests are done.

    A worker of xdist may outlive them: one that waits for its lease would wait for ever if it held it until it ends.
    """
    if host.lease is None:
        return
    host.free()
    host.lease.give_back()
    host.lease = None
    if host.present is not None:
        host.present.give_back()
        host.present = None


def refuse(item: pytest.Item, host: Host) -> None:
    """Fail the benchmark *item* where the lease was not to be had."""
    if host.no_lease is None or not _measures(item, host):
        return
    from pytest_sdbatch.records import Outcome

    case = pytest_items.case_of_item(item, host)
    assert case is not None
    assert isinstance(item, pytest.Function)
    name = pytest_items.name_of_test(item, case)
    reason, outcome = host.no_lease.line, Outcome.INVALID_ENVIRONMENT
    item.stash[pytest_items.RECORD] = host.session.unmeasured(name, case, reason, outcome)
    pytest.fail(str(host.no_lease), pytrace=False)


def workers_for_gpus(options: Options, config: pytest.Config) -> int | None:
    """Return the workers that ``-n auto`` means: one per GPU; None where xdist's own number is right.

    That is so where no benchmark is in sight yet: unit tests of a project must not be slowed down by this plugin.
    """
    if not _is_sweep(options, config):
        return None
    found = len(gpus(options))
    config.stash[NO_GPUS] = not found
    return found or None


def share_gpus(host: Host, specs: Sequence[Any]) -> None:
    """Show each worker of xdist, by its *spec*, one GPU only. Nothing happens where no benchmark is in sight yet."""
    if len(specs) < 2 or not _is_sweep(host.options, host.config):
        return
    found = gpus(host.options)
    for number, spec in enumerate(specs):
        if found and getattr(spec, "popen", False):
            spec.env[VISIBLE] = found[number % len(found)]
    if 0 < len(found) < len(specs):
        there_are = units.count(len(found), "GPU")
        host.hints.append(f"{len(specs)} workers and {there_are}: some wait until others have ended")


def move_away(host: Host, spec: Any) -> None:
    """Let the worker that will replace the one of *spec*, whose GPU is lost, use another one, once that is free."""
    lost = spec.env.get(VISIBLE)
    if lost is None:
        return
    host.lost_gpus.add(lost)
    left = [name for name in gpus(host.options) if name not in host.lost_gpus]
    if left:
        spec.env[VISIBLE] = left[len(host.lost_gpus) % len(left)]  # not all behind the same one


def gpus(options: Options, variables: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the GPUs that workers may use, as entries for CUDA_VISIBLE_DEVICES: indices, UUIDs or MIG UUIDs.

    Args:
        options: whose device is ``auto`` or ``cuda``; with any other one there are none to share out.
        variables: the process's environment.

    """
    if (options.text("device") or "auto").strip() not in _ALLOW_ALL:
        return ()
    visible = variables.get(VISIBLE)
    if visible is not None:
        # CUDA takes what stands before the first entry that is none.
        entries = [entry.strip() for entry in visible.split(",")]
        end = next((i for i, entry in enumerate(entries) if not entry or entry.startswith("-")), len(entries))
        return tuple(entries[:end])
    from pytest_sdbatch.devices.detect import count_gpus

    return tuple(str(index) for index in range(count_gpus()))


def _is_sweep(options: Options, config: pytest.Config) -> bool:
    typed = any(setting.origin is Origin.COMMAND_LINE for setting in options.settings.values())
    return typed or not _SUITES.isdisjoint(map(str, config.invocation_params.args))


def _core_sets(host: Host) -> list[tuple[int, ...]]:
    """Return the sets of cores of which this worker takes one, the likeliest first; an empty one where it is alone."""
    if host.device.kind != "cpu" or not host.is_worker or host.parallel < 2:
        return [()]
    from pytest_sdbatch.devices.control_groups import cpu_quota_cores
    from pytest_sdbatch.devices.lease import core_sets

    # A worker that replaces another has a number beyond theirs, and the cores that are free are not told by it.
    sets = core_sets(host.parallel, quota=cpu_quota_cores())
    worker: str = host.config.workerinput["workerid"]  # type: ignore[attr-defined]
    first = int(worker.removeprefix("gw")) % len(sets)
    return sets[first:] + sets[:first]


def _most_threads(shares: int) -> int | None:
    """Return the threads for which one of so many *shares* of the cores is granted time; None: for each of its cores.

    Their quota is that of all workers together: with more threads some would wait for the next period.
    """
    from pytest_sdbatch.devices.control_groups import cpu_quota_cores

    quota = cpu_quota_cores()
    return None if quota is None else max(1, int(quota / shares))


def _own_facts(host: Host) -> dict[str, Fact]:
    """Return what of the device differs between the workers of one run."""
    facts = host.device.facts()["must_match"]
    return {key: facts[key] for key in ("device_name", "device_uuid", "threads", "cores") if key in facts}


def _measures(item: pytest.Item, host: Host) -> bool:
    return pytest_items.measures(item) and pytest_items.case_of_item(item, host) is not None


def _say(host: Host, said: str) -> None:
    reporter = host.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not host.is_worker:
        reporter.write_line(f"\nsdbatch: {said}")
        host.progress.line_of_file = ""  # pytest prints the name of the file again

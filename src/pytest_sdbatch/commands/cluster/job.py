"""A sweep on a cluster: the project sent, every node looked at, the groups measured, and one table and file of all."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_sdbatch import units
from pytest_sdbatch.commands.ab.command_line import relative
from pytest_sdbatch.commands.children import stopped_by_signals
from pytest_sdbatch.commands.cluster import handshake, ray_cluster
from pytest_sdbatch.commands.cluster.asked import Asked, ask, check_files
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.groups import Group, groups_of
from pytest_sdbatch.commands.cluster.kept import Kept, check_same, earlier, may_differ, settled
from pytest_sdbatch.commands.cluster.machines import CPU, Cluster, Ended, Node, Task
from pytest_sdbatch.commands.cluster.results import Results, show
from pytest_sdbatch.commands.cluster.runner import ATTEMPTS, SILENCE_S, USUAL, Pace, Patience, Runner
from pytest_sdbatch.commands.cluster.shipping import pack
from pytest_sdbatch.commands.sweep import Reader, run_pytest
from pytest_sdbatch.errors import SdbatchError
from pytest_sdbatch.measure.repository import Repository, read_repository
from pytest_sdbatch.records import Run
from pytest_sdbatch.report.terminal import header_lines

Say = Callable[[str], None]
_PREFIX = "sdbatch: "
# Variables that say what is run, and how: processes on nodes have those of here, or none. A node may have been started
# from a shell with others, and Ray sets the last one for its own processes.
_OF_HERE = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "OMP_NUM_THREADS")
_OFFLINE = "HF_HUB_OFFLINE"  # which a node may have for itself


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is to be measured, as a node has collected it."""

    run: Run  # every case, none of them measured
    seconds: tuple[float, ...]  # of each, or figures in the same ratio
    paths: tuple[str, ...]  # that models are loaded from


def sweep_on(where: str, arguments: Sequence[str]) -> int:
    """Run pytest with *arguments* on the cluster *where*, in parts, and return the exit status.

    Args:
        where: ``ray`` or ``ray://HOST:PORT``.
        arguments: of pytest, as in one process.

    """
    given = [relative(word) for word in arguments]
    try:
        ray_cluster.check_installed(where)
        reader = Reader(ask)
        status = run_pytest(given, reader)
        if reader.asked is None:
            return status or run_pytest(given)  # refused; or help, a plan: nothing to measure
        results = _measured(where, given, reader.asked)
    except SdbatchError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return int(pytest.ExitCode.USAGE_ERROR)
    except KeyboardInterrupt:
        print("sdbatch: stopped before a group was measured", file=sys.stderr)
        return int(pytest.ExitCode.INTERRUPTED)
    with stopped_by_signals():
        return show(results, reader.asked)


def _measured(where: str, arguments: Sequence[str], asked: Asked) -> Results:
    results: Results | None = None
    with stopped_by_signals(), tempfile.TemporaryDirectory(prefix="sdbatch-") as folder:
        sent = pack(asked.root, Path(folder) / "project.zip")
        _say(f"the project: {units.count(sent.files, 'file')}, {units.memory(sent.size_bytes)}")
        if sent.said:
            _say(sent.said)
        if asked.stays:
            _say(f"what is written by {', '.join(asked.stays)} stays on the nodes")
        try:
            with ray_cluster.connected(where, sent.path, device=asked.device) as cluster:
                results = measure(cluster, arguments, asked, say=_say)
        except KeyboardInterrupt:  # by one who does not wait for what is at work to end: what came is there
            if results is None:
                raise
    assert results is not None
    return results


def _say(text: str) -> None:
    print(f"{_PREFIX}{text}", flush=True)


def measure(
    cluster: Cluster,
    arguments: Sequence[str],
    asked: Asked,
    *,
    say: Say,
    pace: Pace = USUAL,
    repository: Repository | None = None,
) -> Results:
    """Measure on *cluster* what pytest collects there with *arguments*.

    Args:
        cluster: that the project was sent to.
        arguments: of pytest.
        asked: what becomes of it.
        say: prints a line.
        pace: of looking at the cluster.
        repository: that the project is of; None: the one of the current folder.

    Raises:
        SdbatchError: where a node cannot measure what it would have to, before any does.
        KeyboardInterrupt: if this process is told to stop before a group is measured.

    """
    nodes = cluster.nodes()
    task = Task(
        arguments=(*arguments, *device_words(asked.device, nodes)),
        names=None,
        folder=asked.folder,
        variables=variables_of(os.environ),
    )
    plan = _planned(cluster, nodes, task, say, pace)
    from_here = read_repository(Path.cwd()) if repository is None else repository
    plan = replace(plan, run=_of_here(plan.run, from_here))
    before, old = _before(asked, plan.run, say)
    over = check_files(asked, before)
    groups = _groups(plan, old, places=_places(nodes))
    _say_plan(plan.run, asked, say, shared_out=_shared_out(groups, nodes))
    kept = Kept.begin(asked.root, plan.run, old, selection=asked.selection)
    runner = Runner(
        cluster,
        groups,
        plan=plan.run,
        task_of=lambda group: replace(task, names=group.names),
        mend=lambda run: _of_here(run, from_here),
        kept=kept,
        say=say,
        pace=pace,
    )
    stopped = _run(runner, say)
    return Results(
        runs=(*old, *runner.runs),
        order={record.key: number for number, record in enumerate(plan.run.records)},
        kept_from=_kept_from(old),
        left=runner.left,
        stopped=stopped,
        status=runner.status,
        kept=kept,
        over=over,
    )


def _say_plan(plan: Run, asked: Asked, say: Say, *, shared_out: str) -> None:
    for line in header_lines(plan.environment, asked.options, [record.case for record in plan.records]):
        say(line.removeprefix(_PREFIX))
    say(shared_out)


def device_words(device: str, nodes: Sequence[Node]) -> Sequence[str]:
    """Return what to add to the arguments: a node whose torch does not find its GPU must not measure on its CPU."""
    return ("--sd-device=cuda",) if device == "auto" and all(node.kind != CPU for node in nodes) else ()


def _planned(cluster: Cluster, nodes: Sequence[Node], task: Task, say: Say, pace: Pace) -> _Plan:
    """Return what is to be measured, once every node was looked at.

    Raises:
        ClusterError: where one of them cannot measure it.

    """
    say(places_line(nodes))
    handshake.check_versions(cluster, nodes, handshake.own_facts(), folder=task.folder)
    plan = _collected(cluster, task, say, pace)
    handshake.check_paths(cluster, nodes, plan.paths, folder=task.folder)
    return plan


def _run(runner: Runner, say: Say) -> bool:
    """Measure, and return whether that was stopped by who had begun it."""
    try:
        runner.run()
    except KeyboardInterrupt:
        say("stopping what is at work (up to 30 s)")
        return True
    except ClusterError as error:
        print(f"ERROR: {error}", file=sys.stderr)
    return False


def _collected(cluster: Cluster, task: Task, say: Say, pace: Pace) -> _Plan:
    """Return what a node collects with the arguments of *task*.

    Raises:
        ClusterError: with what pytest said, if it cannot, or there is nothing to measure.

    """
    say("a node collects the cases")
    failed_on: set[str] = set()
    for _ in range(ATTEMPTS):
        cluster.submit(task, avoid=failed_on)
        one = _ended(cluster, say, pace)
        if one.result is not None:
            break
        failed_on.add(one.node)
        say(f"the cases were not collected: {one.failure}")
    result = one.result
    if result is None:
        raise ClusterError(f"the benchmarks were not collected: {one.failure}", fix="run it again")
    if result.run is None or result.plan is None or result.status != pytest.ExitCode.OK:
        nothing = result.status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        raise ClusterError(
            "there is no benchmark" if nothing else f"{one.node or 'a node'} cannot collect the benchmarks",
            why=_error_in(result.said),
            fix="run them once by hand: pytest BENCHMARKS --sd-plan" if nothing else "",
        )
    from pytest_sdbatch.storage.run_file import runs_in

    (run,) = runs_in(result.run, f"what {one.node or 'a node'} collected")
    beside = json.loads(result.plan)
    return _Plan(run=run, seconds=tuple(beside["seconds"]), paths=tuple(beside["paths"]))


def _ended(cluster: Cluster, say: Say, pace: Pace) -> Ended:
    """Return how the only task ended, once it has."""
    begun_s = said_s = time.monotonic()
    patience = Patience(pace)
    while not (ended := cluster.ended(pace.look_s)):
        patience.check(cluster, say)
        now_s = time.monotonic()
        if now_s - said_s > SILENCE_S:
            where = ", ".join(cluster.running().values())
            doing = f"{where} collects" if where else "waiting for a place: others use all of them"
            said_s = now_s
            say(f"{doing}, for {units.duration(now_s - begun_s)}")
    return ended[0]


def _error_in(said: str) -> str:
    """Return what pytest said was wrong, or all of its last lines where it is not told from the rest."""
    lines = said.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("ERROR: ")), 0)
    return "\n".join(lines[first:]).removeprefix("ERROR: ").strip()


def _before(asked: Asked, plan: Run, say: Say) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """Return the runs of the sweep to go on with, and what of them is kept; none: it begins anew."""
    found = earlier(asked.root, selection=asked.selection) if asked.resume else ""
    if isinstance(found, str):
        if found:
            say(f"nothing to resume: {found}")
        return (), ()
    check_same(found.plan, plan)
    old = settled(found.runs, plan, asked.options.limit(), datetime.now(UTC))
    kept = units.count(sum(len(run.records) for run in old), "case")
    say(f"resuming the sweep of {found.plan.started_at}: {kept} kept")
    if old and (warning := may_differ(found.plan, plan)):
        say(warning)
    return found.runs, old


def _groups(plan: _Plan, old: Sequence[Run], *, places: int) -> tuple[Group, ...]:
    """Return the groups of the cases that *old* runs have not."""
    there = {record.key for run in old for record in run.records}
    rest = [pair for pair in zip(plan.run.records, plan.seconds, strict=True) if pair[0].key not in there]
    return groups_of([record for record, _ in rest], [seconds for _, seconds in rest], places=places)


def _shared_out(groups: Sequence[Group], nodes: Sequence[Node]) -> str:
    if not groups:
        return "every case was measured before"
    idle = _places(nodes) - len(groups)
    said = f"{units.count(len(groups), 'group')}, the longest first"
    return f"{said}; {units.count(idle, 'place')} idle: no curve over batch size is parted" if idle > 0 else said


def _kept_from(old: Sequence[Run]) -> Mapping[tuple[str, str], str]:
    return {
        record.key: f"kept from the interrupted sweep of {run.started_at[:16].replace('T', ' ')} UTC"
        for run in old
        for record in run.records
    }


def _of_here(run: Run, repository: Repository) -> Run:
    """Return *run* with the state of the project that was sent; the folder of a node may lie in another clone."""
    where = run.environment
    known = {"commit": repository.commit, "dirty": repository.dirty, "remote": repository.remote}
    unknown = {key: reason for key, reason in where.unknown.items() if key not in known}
    told = replace(where, shown={**where.shown, **known}, unknown={**unknown, **repository.unknown})
    return replace(run, environment=told)


def variables_of(variables: Mapping[str, str]) -> dict[str, str | None]:
    """Return what the processes on nodes have of this one's *variables*."""
    found = {name: variables.get(name) for name in _OF_HERE}
    return {**found, _OFFLINE: variables[_OFFLINE]} if _OFFLINE in variables else found


def _places(nodes: Sequence[Node]) -> int:
    return sum(node.places for node in nodes)


def places_line(nodes: Sequence[Node]) -> str:
    """Return which places *nodes* have, for the reader."""
    return f"{units.count(_places(nodes), 'place')}: {', '.join(map(_shown, nodes))}"


def _shown(node: Node) -> str:
    return f"{node.name} ({node.kind})" if node.places == 1 else f"{node.name} ({node.places} x {node.kind})"

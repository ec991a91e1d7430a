"""A comparison on a cluster: both sides sent to a node, whose device runs every pair, and the verdicts brought back."""

from __future__ import annotations

import io
import os
import pickle
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sdbatch import units
from pytest_sdbatch.commands.ab.command_line import named
from pytest_sdbatch.commands.ab.errors import NoComparison, StoppedBeforeAPair
from pytest_sdbatch.commands.ab.repository import open_repository
from pytest_sdbatch.commands.children import stopped_by_signals
from pytest_sdbatch.commands.cluster import handshake, history, ray_cluster
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.job import device_words, places_line, variables_of
from pytest_sdbatch.commands.cluster.machines import Cluster, Ended, Task
from pytest_sdbatch.commands.cluster.runner import ATTEMPTS, SILENCE_S, USUAL, Pace
from pytest_sdbatch.commands.sweep import ON
from pytest_sdbatch.errors import SdbatchError

if TYPE_CHECKING:
    from pytest_sdbatch.commands.ab.command_line import Given
    from pytest_sdbatch.commands.ab.job import JobResult

Say = Callable[[str], None]
_DEVICE = "--sd-device"
_FILES = ".sdbatch/ab-*"
_END_S = 100.0  # for a node to end what it was told to end: a process that measures has a minute for that


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What a node has to say of a comparison."""

    result: JobResult | SdbatchError
    files: bytes  # a zip of runs and outputs, by paths from the root of the repository


def compare_here(given: Given) -> Came:
    """Compare, on a node, what was sent to the folder of the task, which is the current one or one above it."""
    from pytest_sdbatch.commands.ab import job

    root = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / ".git").is_dir())
    result: JobResult | SdbatchError
    try:
        with stopped_by_signals():
            history.unpack(root)
            result = job.compare(given, job.Say(to_stderr=False), time.monotonic())
    except SdbatchError as error:
        result = error
    except KeyboardInterrupt:
        result = StoppedBeforeAPair()
    return Came(result=result, files=_zipped(root))


def _zipped(root: Path) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in sorted(root.rglob(_FILES))[-1:]:  # of an attempt before there may be some, too
            for file in sorted(folder.iterdir()):
                archive.write(file, file.relative_to(root))
    return made.getvalue()


def compare_on(where: str, given: Given, *, say: Say, begun_s: float) -> JobResult:
    """Compare on one device of the cluster *where*.

    Args:
        where: ``ray`` or ``ray://HOST:PORT``.
        given: the command line.
        say: prints a line of progress.
        begun_s: ``time.monotonic()`` at which the command began.

    Raises:
        SdbatchError: where nothing can be compared, there or at all.
        KeyboardInterrupt: if this process is told to stop before a pair was run, or twice.

    """
    device = asked_device(given.arguments)
    ray_cluster.check_installed(where)
    here = Path.cwd().resolve()
    repository = open_repository(here)
    with tempfile.TemporaryDirectory(prefix="sdbatch-") as folder:
        package = Path(folder) / "repository.zip"
        sent = history.pack(repository, given.base or "", package)
        say(f"both sides: {units.memory(sent.size_bytes)}")
        if sent.said:
            say(sent.said)
        with ray_cluster.connected(where, package, device=device) as cluster:
            return compare_with(
                cluster,
                replace(given, base=sent.base),
                folder=here.relative_to(repository.root).as_posix(),
                root=repository.root,
                device=device,
                say=say,
                until_s=None if given.minutes is None else begun_s + 60 * given.minutes,
            )


def asked_device(arguments: Sequence[str]) -> str:
    """Return the device that *arguments* of pytest ask for: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ClusterError: for one GPU by its number, which on a cluster means another one on every node.

    """
    device = "auto"
    for (word, flag), behind in zip(named(arguments), (*arguments[1:], ""), strict=False):
        if flag == _DEVICE:
            device = (word.rpartition("=")[2] if "=" in word else behind).strip().lower()
    if device.startswith("cuda:"):
        raise ClusterError(
            f"{_DEVICE}={device} with {ON}",
            why="the cluster gives the comparison a GPU, which is the only one that it sees",
            fix="write cuda",
        )
    return device


def compare_with(
    cluster: Cluster,
    given: Given,
    *,
    folder: str,
    root: Path,
    device: str,
    say: Say,
    until_s: float | None,
    pace: Pace = USUAL,
) -> JobResult:
    """Compare on one device of *cluster*, to which both sides were sent.

    Args:
        cluster: any.
        given: the command line, whose base is named as it is there.
        folder: that the command is called in, from the root of the repository.
        root: of the repository, in which runs and outputs are kept.
        device: that is asked for.
        say: prints a line of progress.
        until_s: ``time.monotonic()`` at which it ends; None: when it is done.
        pace: of looking at the cluster.

    Raises:
        SdbatchError: where nothing can be compared.
        KeyboardInterrupt: if this process is told to stop before a pair was run, or twice.

    """
    nodes = cluster.nodes()
    say(places_line(nodes))
    handshake.check_versions(cluster, nodes, handshake.own_facts(), folder=folder)
    told = replace(given, arguments=(*given.arguments, *device_words(device, nodes)), on=None)
    failed_on: set[str] = set()
    for attempt in range(1, ATTEMPTS + 1):
        left_s = None if until_s is None else until_s - time.monotonic()
        minutes = None if left_s is None else max(left_s, 1.0) / 60
        task = Task(compares=replace(told, minutes=minutes), folder=folder, variables=variables_of(os.environ))
        cluster.submit(task, avoid=failed_on)
        waiting = _Waiting(cluster, say, until_s, pace)
        ended = waiting.wait()
        failure = ended.failure
        if ended.result is not None and ended.result.comparison is not None:
            came = pickle.loads(ended.result.comparison)
            return _taken(came, root, over=waiting.over)
        if ended.result is not None:
            failure = f"{ended.node or 'a node'}: it ended with {ended.result.status}: {_last(ended.result.said)}"
        if waiting.stopped:
            raise KeyboardInterrupt
        failed_on.add(ended.node)
        again = "it begins again" if attempt < ATTEMPTS else "given up"
        say(f"{failure}; {again} (failure {attempt} of {ATTEMPTS})")
    raise ClusterError(f"the comparison was lost {ATTEMPTS} times", why=failure)


def _taken(came: Came, root: Path, *, over: bool) -> JobResult:
    """Return the result that *came*, with its files kept in the repository."""
    from pytest_sdbatch.commands.ab import job

    with zipfile.ZipFile(io.BytesIO(came.files)) as archive:
        folders = {root / Path(name).parent for name in archive.namelist()}
        for folder in folders:
            job.make_room(folder)
        archive.extractall(root)
    if isinstance(came.result, SdbatchError):
        raise came.result
    if over and came.result.interrupted:  # not by the user: the time was over while it ran
        return replace(came.result, interrupted=False)
    return came.result


def _last(said: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it printed nothing")


class _Waiting:
    """Waits for the only task of a cluster, hearing how far it is.

    Args:
        cluster: that was handed it.
        say: prints a line.
        until_s: ``time.monotonic()`` at which it is told to end; None: never.
        pace: of looking at the cluster.

    """

    def __init__(self, cluster: Cluster, say: Say, until_s: float | None, pace: Pace) -> None:
        self._cluster = cluster
        self._say = say
        self._until_s = until_s
        self._pace = pace
        self.over = False  # its time
        self.stopped = False  # by the user
        self._told_s: float | None = None  # when it was told to end
        self._said_s = time.monotonic()
        self._nobody_since_s: float | None = None

    def wait(self) -> Ended:
        """Return how it ended.

        Raises:
            SdbatchError: where it cannot be waited for any longer.
            KeyboardInterrupt: by a user who does not wait for its pairs, or for whom there are none.

        """
        while True:
            try:
                ended = self._cluster.ended(self._pace.look_s)
                for line in self._cluster.heard():
                    self._tell(line)
                if ended:
                    return ended[0]
                self._look()
            except KeyboardInterrupt:
                if self._told_s is not None or not self._cluster.running():
                    raise
                self.stopped = True
                self._say("stopping: the pairs that were run are kept (up to 100 s; once more: they are not)")
                self._end()

    def _look(self) -> None:
        now_s, has_begun = time.monotonic(), bool(self._cluster.running())
        if self._told_s is None and self._until_s is not None and now_s > self._until_s:
            if not has_begun:
                raise NoComparison(
                    "the time was over before a place was free, so nothing was compared", fix="give it more --minutes"
                )
            self.over = True
            self._end()
        if self._told_s is not None and now_s - self._told_s > _END_S:
            raise NoComparison("the node did not end the comparison in time, and its pairs are lost")
        if not has_begun and now_s - self._said_s > SILENCE_S:
            self._tell("waiting for a place: others use all of them")
        self._check_somebody(now_s)

    def _end(self) -> None:
        self._told_s = time.monotonic()
        self._cluster.enough()

    def _check_somebody(self, now_s: float) -> None:
        if self._cluster.nodes():
            self._nobody_since_s = None
        elif self._nobody_since_s is None:
            self._nobody_since_s = now_s
        elif now_s - self._nobody_since_s > self._pace.patience_s:
            raise ClusterError(
                "no node is left that could compare", why=f"none came within {units.duration(self._pace.patience_s)}"
            )

    def _tell(self, line: str) -> None:
        self._said_s = time.monotonic()
        self._say(line)

"""A comparison on a cluster: both sides sent to a node, whose device runs every pair, and the verdicts brought back."""

from __future__ import annotations

import io
import os
import pickle
import platform
import shutil
import signal
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sdbatch import units
from pytest_sdbatch.commands.ab.errors import NoComparison, WrongCommandLine
from pytest_sdbatch.commands.ab.repository import GitError, open_repository
from pytest_sdbatch.commands.children import stopped_by_signals
from pytest_sdbatch.commands.cluster import handshake, history, ray_cluster
from pytest_sdbatch.commands.cluster.asked import device_of
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.job import device_words, places_line, variables_of
from pytest_sdbatch.commands.cluster.machines import Cluster, Ended, Facts, Task
from pytest_sdbatch.commands.cluster.runner import ATTEMPTS, SILENCE_S, USUAL, Pace, Patience
from pytest_sdbatch.commands.cluster.shipping import left_out_line
from pytest_sdbatch.commands.sweep import RAY, Reader, run_pytest
from pytest_sdbatch.errors import SdbatchError

if TYPE_CHECKING:
    from pytest_sdbatch.commands.ab.command_line import Given
    from pytest_sdbatch.commands.ab.job import JobResult

Say = Callable[[str], None]
_FILES = ".sdbatch/ab-*"
_END_S = 100.0  # for a node to end what it was told to end, or what has no time left: a process has a minute for that


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What a node has to say of a comparison."""

    result: JobResult | SdbatchError | KeyboardInterrupt
    files: bytes  # a zip of runs and outputs, by paths from the root of the repository
    facts: Facts  # of the node, which may have come when the others had been asked


def compare_here(given: Given, begun_s: float) -> Came:
    """Compare, on a node, what was sent to the folder of the task, which is the current one or one above it.

    Args:
        given: the command line.
        begun_s: ``time.monotonic()`` from which its minutes are counted.

    """
    from pytest_sdbatch.commands.ab import job

    root = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / ".git").is_dir())
    result: JobResult | SdbatchError | KeyboardInterrupt
    for old in list(root.rglob(_FILES)):  # of an attempt before, which was lost
        shutil.rmtree(old)
    try:
        with stopped_by_signals():
            history.unpack(root)
            result = job.compare(given, job.Say(to_stderr=False), begun_s)
    except GitError as error:
        result = error.at(f"the node {platform.node()}")
    except (SdbatchError, KeyboardInterrupt) as error:
        result = error
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it has ended, and what came must not be lost
    return Came(result=result, files=_zipped(root), facts=handshake.own_facts())


def _zipped(root: Path) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(file for folder in root.rglob(_FILES) for file in folder.iterdir()):
            archive.write(file, file.relative_to(root))
    return made.getvalue()


def compare_on(given: Given, *, say: Say, begun_s: float) -> JobResult:
    """Compare on one device of the cluster that is named.

    Args:
        given: the command line.
        say: prints a line of progress.
        begun_s: ``time.monotonic()`` at which the command began.

    Raises:
        SdbatchError: where nothing can be compared, there or at all.
        KeyboardInterrupt: if this process is told to stop before a pair was run, or twice.

    """
    where = given.on or RAY
    ray_cluster.check_installed(where)
    reader = Reader(device_of)
    status = run_pytest(given.arguments, reader, name="sdbatch ab", flags=())
    if reader.asked is None:
        raise WrongCommandLine("pytest cannot do what it is asked for", why=f"it ended with {status}; see above")
    here = Path.cwd().resolve()
    repository = open_repository(here)
    with tempfile.TemporaryDirectory(prefix="sdbatch-") as folder:
        package = Path(folder) / "repository.zip"
        sent = history.pack(repository, given.base or "", package)
        say(f"both sides: {units.memory(sent.size_bytes)}")
        if sent.left_out:
            say(left_out_line(sent.left_out))
        with ray_cluster.connected(where, package, device=reader.asked) as cluster:
            return compare_with(
                cluster,
                replace(given, base=sent.base),
                folder=here.relative_to(repository.root).as_posix(),
                root=repository.root,
                device=reader.asked,
                say=say,
                until_s=None if given.minutes is None else begun_s + 60 * given.minutes,
            )


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
    nodes, here = cluster.nodes(), handshake.own_facts()
    say(places_line(nodes))
    handshake.check_versions(cluster, nodes, here, folder=folder)
    told = replace(given, arguments=(*given.arguments, *device_words(device, nodes)))
    task = Task(compares=told, folder=folder, variables=variables_of(os.environ))
    failed_on: set[str] = set()
    failure = ""
    for attempt in range(1, ATTEMPTS + 1):
        left_s = None if until_s is None else until_s - time.monotonic()
        if left_s is not None and left_s < 0:
            raise NoComparison(
                "the time was over before anything was compared", why=failure, fix="give it more --minutes"
            )
        cluster.submit(task, avoid=failed_on, left_s=left_s)
        waiting = _Waiting(cluster, say, until_s, pace)
        ended = waiting.wait()
        failure, result = ended.failure, ended.result
        if result is not None and result.comparison is not None:
            came = _came(result.comparison, ended.node, here)
            return _taken(came, root)
        if result is not None:
            failure = f"{ended.node or 'a node'}: it ended with {result.status}: {result.last_line}"
        if waiting.stopped:
            raise KeyboardInterrupt
        failed_on.add(ended.node)
        again = "it begins again" if attempt < ATTEMPTS else "given up"
        say(f"{failure}; {again} (failure {attempt} of {ATTEMPTS})")
    raise ClusterError(f"the comparison was lost {ATTEMPTS} times", why=failure)


def _came(content: bytes, node: str, here: Facts) -> Came:
    """Return what a node handed in.

    Raises:
        ClusterError: where the node is another than those that were asked what they have.

    """
    try:
        came: Came = pickle.loads(content)
        wrong = list(handshake.differences(came.facts, here))
    except Exception as error:  # noqa: BLE001 - of another version anything may come
        wrong = [f"what it hands in cannot be read: {error}"]
    if wrong:
        raise ClusterError(
            f"{node or 'a node'} came later, and is no good", why="; ".join(wrong), fix="install the same there"
        )
    return came


def _taken(came: Came, root: Path) -> JobResult:
    """Return the result that *came*, with its files kept in the repository; verdicts do not wait for room there."""
    from pytest_sdbatch.commands.ab import job

    lost = ""
    try:
        with zipfile.ZipFile(io.BytesIO(came.files)) as archive:
            for folder in {root / Path(name).parent for name in archive.namelist()}:
                job.make_room(folder)
            archive.extractall(root)
    except (NoComparison, OSError) as error:
        lost = f"runs and outputs were not kept: {error}"
    if isinstance(came.result, BaseException):
        raise came.result
    return replace(came.result, lines=(*came.result.lines, lost)) if lost else came.result


class _Waiting:
    """Waits for the only task of a cluster, hearing how far it is.

    Args:
        cluster: that was handed it.
        say: prints a line.
        until_s: ``time.monotonic()`` at which it is to have ended; None: when it is done.
        pace: of looking at the cluster.

    """

    def __init__(self, cluster: Cluster, say: Say, until_s: float | None, pace: Pace) -> None:
        self._cluster = cluster
        self._say = say
        self._until_s = until_s
        self._pace = pace
        self.stopped = False  # by the user
        self._node = ""  # where it runs
        self._told_s: float | None = None  # when it was told to end
        self._said_s = time.monotonic()
        self._patience = Patience(pace)

    def wait(self) -> Ended:
        """Return how it ended.

        Raises:
            SdbatchError: where it cannot be waited for any longer.
            KeyboardInterrupt: by a user who does not wait for its pairs, or for whom there are none.

        """
        while True:
            try:
                self._hear()
                if ended := self._cluster.ended(self._pace.look_s):
                    with suppress(KeyboardInterrupt):  # it has ended: what came must not be lost
                        self._hear()
                    return ended[0]
                self._look()
            except KeyboardInterrupt:
                if self.stopped or not self._cluster.running():
                    raise
                self.stopped = True
                self._say("stopping: the pairs that were run are kept (up to 100 s; once more: they are not)")
                self._told_s = time.monotonic()
                self._cluster.enough()

    def _hear(self) -> None:
        for line in self._cluster.heard():
            self._tell(line)

    def _look(self) -> None:
        now_s, node = time.monotonic(), next(iter(self._cluster.running().values()), "")
        if node and not self._node:
            self._tell(f"on {node}")
            self._node = node
        late_s = 0.0 if self._until_s is None else now_s - self._until_s
        if late_s > 0 and not node:
            raise NoComparison(
                "the time was over before a place was free, so nothing was compared", fix="give it more --minutes"
            )
        if max(late_s, 0.0 if self._told_s is None else now_s - self._told_s) > _END_S:
            raise NoComparison("the node did not end the comparison in time, and its pairs are lost")
        if not node and now_s - self._said_s > SILENCE_S:
            self._tell("waiting for a place: others use all of them")
        self._patience.check(self._cluster, self._tell)

    def _tell(self, line: str) -> None:
        self._said_s = time.monotonic()
        self._say(line)

"""A cluster of Ray: the one file that knows Ray. It places tasks and tells of nodes that die; we count and decide."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pytest_sdbatch import units
from pytest_sdbatch.commands.children import stopped_by_signals
from pytest_sdbatch.commands.cluster import on_node
from pytest_sdbatch.commands.cluster.board import ANSWER_S, BoardCaller, board_class
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.machines import CPU, Ended, Facts, Node, Result, Task
from pytest_sdbatch.errors import OptionError

RESOURCE = "sdbatch"  # of a node without a GPU that runs groups, one for each it runs at once
INSTALL = "pip install 'pytest-sdbatch[ray]'"
_CLIENT = "ray://"
_GPU = "GPU"
_KIND = "accelerator_type:"  # how the name of the resource begins that tells the kind of a node's GPUs
_WANTED = {
    (_GPU,): "a GPU",
    (RESOURCE,): f"the resource {RESOURCE}, by which it says that it measures on its CPU",
    (_GPU, RESOURCE): f"a GPU, or the resource {RESOURCE}, by which it says that it measures on its CPU",
}
_PROBE_S = 120.0  # within which a node that is alive starts a process and answers
_STOP_S = 5.0  # within which a task that is told to stop has stopped; through Ray Client some do not hear it
_STOP_COMPARING_S = 15.0  # the same of one that compares: it tidies up


@contextmanager
def connected(where: str, package: Path, *, device: str) -> Iterator[RayCluster]:
    """Connect to the cluster *where* and send it the project.

    Args:
        where: ``ray``, the cluster of this machine or of ``RAY_ADDRESS``, or ``ray://HOST:PORT``.
        package: a zip of the project.
        device: that is asked for: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        OptionError: where Ray is not installed.
        ClusterError: where there is no such cluster, or no node of it runs groups.

    """
    ray, address = _ray(where), _address(where)
    _check_reachable(address, where)
    lost = _lost(ray, address)
    failed: tuple[type[Exception], ...] = (RuntimeError, ValueError, OSError, *lost)
    try:
        ray.init(
            address=address,
            runtime_env={"working_dir": str(package)},
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except failed as error:
        raise _refusal(where, address, error) from None
    try:
        with stopped_by_signals():  # in place of Ray's own handler, which ends this process at once
            with _answering(lost):
                cluster = RayCluster(ray, device=device, lost=lost)
            try:
                yield cluster
            finally:
                with suppress(*lost):  # the cluster is gone, and with it all that ran there
                    cluster.stop()
    finally:
        ray.shutdown()


def check_installed(where: str) -> None:
    """Refuse the cluster *where* if what it takes to talk to it is not installed.

    Raises:
        OptionError: says what to install.

    """
    _ray(where)


def _address(where: str) -> str:
    return where if where.startswith(_CLIENT) else os.environ.get("RAY_ADDRESS") or "auto"


def _ray(where: str) -> Any:
    # Before it is imported: where the connection is lost Ray would start a cluster of its own here, unasked.
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    try:
        import ray

        if _address(where).startswith(_CLIENT):
            import grpc  # noqa: F401
    except ImportError as error:
        raise OptionError(f"--on={where}: {error.name or 'ray'} is not installed", fix=INSTALL) from None
    return ray


def _lost(ray: Any, address: str) -> tuple[type[Exception], ...]:
    """Return what is raised where the cluster at *address* does not answer any more."""
    if address.startswith(_CLIENT):
        return (Exception,)  # of gRPC, ConnectionError, and a plain one that says that it is not connected
    return (ConnectionError, ray.exceptions.RayError)


@contextmanager
def _answering(lost: tuple[type[Exception], ...]) -> Iterator[None]:
    """End the job, with what came, where the cluster is *lost*."""
    try:
        yield
    except ClusterError:
        raise
    except lost as error:
        raise ClusterError(
            "the cluster does not answer any more",
            why=_first_line(error),
            fix="once it is up: the same command again; a sweep goes on with --sd-resume",
        ) from None


def _check_reachable(address: str, where: str) -> None:
    """Refuse a machine that takes no connection: Ray itself would try for a minute."""
    host, colon, port = address.removeprefix(_CLIENT).rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except OSError as error:
        raise ClusterError(
            f"--on={where}: nothing answers at {host}:{port}",
            why=str(error.strerror or error),
            fix="is the cluster up (ray status), and the port the one of Ray Client, 10001 unless it was changed?"
            if address.startswith(_CLIENT)
            else "is the cluster up (ray status)? RAY_ADDRESS names it",
        ) from None


def _refusal(where: str, address: str, error: Exception) -> ClusterError:
    """Return *error* of connecting in words."""
    told = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if type(error).__name__ == "RuntimeEnvSetupError":  # of Ray, which may be missing here
        return ClusterError(f"--on={where}: the project could not be sent to the cluster", why=told)
    if "ersion mismatch" in told:
        return ClusterError(
            f"--on={where}: this Python or Ray is another one than the cluster's",
            why=told,
            fix="run it with the versions of the cluster",
        )
    return ClusterError(
        f"--on={where}: no cluster to connect to" + ("" if address == "auto" else f" at {address}"),
        why=told,
        fix="start one (ray start --head), name it by RAY_ADDRESS=HOST:6379, or write --on ray://HOST:10001; "
        "of one that wants a token, as `ray start` says: set RAY_AUTH_MODE=token here, too",
    )


def _run(task: Task, number: int, board: Any) -> Result:
    """Run *task* on a node."""
    import ray

    board.begin.remote(number, ray.get_runtime_context().get_node_id())
    return on_node.run(task, None if task.compares is None else BoardCaller(board, ray))


def _probe() -> Callable[[Sequence[str], str, Sequence[str]], dict[str, Any]]:
    """Return what asks a node of itself. No function of this module, as :func:`~.board.board_class` is none."""

    def probe(packages: Sequence[str], folder: str, paths: Sequence[str]) -> dict[str, Any]:
        import platform
        from importlib import metadata
        from pathlib import Path

        versions: dict[str, str | None] = {}
        for name in packages:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                versions[name] = None
        missing = tuple(path for path in paths if not Path(folder, Path(path).expanduser()).exists())
        python = ".".join(platform.python_version_tuple()[:2])
        return {"python": python, "versions": versions, "missing": missing}

    return probe


class RayCluster:
    """Implements :class:`~.machines.Cluster`.

    Args:
        ray: the module, connected.
        device: that is asked for.
        lost: what it raises where the cluster does not answer any more.

    """

    def __init__(self, ray: Any, *, device: str, lost: tuple[type[Exception], ...]) -> None:
        self._ray = ray
        self._lost = lost
        self._known: tuple[Node, ...] = ()  # as it was seen last
        self._resource = self._resource_for(device)
        self._names: dict[str, str] = {}
        self._submitted = 0
        self._compares = False
        self._begun: dict[int, str] = {}  # keys of nodes by number, as the board said last
        self._pending: dict[int, Any] = {}  # references by number
        here = self._on(ray.get_runtime_context().get_node_id(), soft=True)
        # It may lie on a node that measures, and die with that: what begins later writes on another one.
        board = ray.remote(board_class()).options(num_cpus=0, max_restarts=-1, scheduling_strategy=here)
        self._board = board.remote()
        taken = {"num_gpus": 1} if self._resource == _GPU else {"resources": {RESOURCE: 1}}
        self._run = ray.remote(_run)
        self._options: dict[str, Any] = {"num_cpus": 0, "max_retries": 0, **taken}

    def _resource_for(self, device: str) -> str:
        """Return which resource a group takes.

        Raises:
            ClusterError: where no node has it.

        """
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        wanted = {"cuda": (_GPU,), "cpu": (RESOURCE,)}.get(device, (_GPU, RESOURCE))
        for resource in wanted:
            if any(resources.get(resource, 0) >= 1 for resources in alive):
                return resource
        raise ClusterError(
            f"no node of the cluster has {_WANTED[wanted]}",
            why=f"it has {units.count(len(alive), 'node')}",
            fix="start a node with a GPU, or to measure on CPUs: "
            f"ray start --address=HEAD:6379 --resources='{{\"{RESOURCE}\": 1}}'",
        )

    def nodes(self) -> Sequence[Node]:
        """Return the nodes that are alive and run groups; those that were where the cluster does not answer now."""
        try:
            told = self._ray.nodes()
        except self._lost:
            return self._known
        found = []
        for node in told:
            resources = node["Resources"]
            places = int(resources.get(self._resource, 0))
            if node["Alive"] and places:
                kinds = [name.removeprefix(_KIND) for name in resources if name.startswith(_KIND)]
                kind = (kinds or [_GPU])[0] if self._resource == _GPU else CPU
                found.append(Node(key=node["NodeID"], name=self._name(node), places=places, kind=kind))
        self._known = tuple(sorted(found, key=lambda node: node.name))
        return self._known

    def _name(self, node: Mapping[str, Any]) -> str:
        """Return the name of a node for the reader, which no other node has."""
        key, name = node["NodeID"], node.get("NodeName") or node["NodeManagerAddress"]
        if key not in self._names:
            self._names[key] = f"{name} ({key[:6]})" if name in self._names.values() else name
        return self._names[key]

    def ask(
        self, nodes: Sequence[Node], packages: Sequence[str], *, folder: str, paths: Sequence[str] = ()
    ) -> Mapping[str, Facts | str]:
        """Return, by key, what each of *nodes* says, or why it cannot."""
        with _answering(self._lost):
            probe = self._ray.remote(_probe())
            asked = {
                node.key: probe.options(num_cpus=0, max_retries=0, scheduling_strategy=self._on(node.key)).remote(
                    tuple(packages), folder, tuple(paths)
                )
                for node in nodes
            }
        end_s = time.monotonic() + _PROBE_S
        return {key: self._answer(reference, end_s) for key, reference in asked.items()}

    def _answer(self, reference: Any, end_s: float) -> Facts | str:
        try:
            return Facts(**self._ray.get(reference, timeout=max(1.0, end_s - time.monotonic())))
        except self._ray.exceptions.GetTimeoutError:
            return f"it did not answer within {_PROBE_S:g} s"
        except self._lost as error:
            return f"it can run nothing: {_first_line(error)}"

    def submit(self, task: Task, *, avoid: Collection[str] = (), left_s: float | None = None) -> int:
        """Hand *task* to the cluster, and return the number by which it is known."""
        self._submitted += 1
        self._compares = task.compares is not None
        nodes = self.nodes()
        others = [node for node in nodes if node.name not in avoid]
        options = self._options
        if 0 < len(others) < len(nodes):  # it waits there until it is its turn, and goes elsewhere if that node dies
            chosen = others[self._submitted % len(others)]
            options = {**options, "scheduling_strategy": self._on(chosen.key, soft=True)}
        with _answering(self._lost):
            if left_s is not None:
                self._board.end_in.remote(left_s)
            remote = self._run.options(**options)
            self._pending[self._submitted] = remote.remote(task, self._submitted, self._board)
        return self._submitted

    def running(self) -> Mapping[int, str]:
        """Return the tasks that have begun, each with the name of its node, as far as that is known."""
        with suppress(*self._lost):  # the node with the board is gone, or slow: what it said last still holds
            self._begun = self._ray.get(self._board.begun.remote(), timeout=ANSWER_S)
        if any(key not in self._names for key in self._begun.values()):
            self.nodes()
        return {number: self._names.get(key, key) for number, key in self._begun.items() if number in self._pending}

    def ended(self, wait_s: float) -> Sequence[Ended]:
        """Return a task that has ended; none where *wait_s* seconds brought none."""
        if not self._pending:
            return ()
        with _answering(self._lost):
            ready, _ = self._ray.wait(list(self._pending.values()), num_returns=1, timeout=wait_s)
        number = next((number for number, reference in self._pending.items() if reference in ready), None)
        if number is None:
            return ()
        ended = self._ended(number, self.running().get(number, ""))
        del self._pending[number]  # now: what is interrupted before is asked for again
        return (ended,)

    def _ended(self, number: int, node: str) -> Ended:
        exceptions = self._ray.exceptions
        with _answering(self._lost):
            try:
                return Ended(number=number, node=node, result=self._ray.get(self._pending[number]))
            except exceptions.RayError as error:
                name, alive = node or "its node", {one.name for one in self.nodes()}
                lost = isinstance(error, exceptions.NodeDiedError | exceptions.ObjectLostError)
                if lost or (node and node not in alive):
                    failure = f"{name} died"
                elif isinstance(error, exceptions.WorkerCrashedError):  # of which comes first, and what follows later
                    failure = f"{name} died, or its process there was killed"
                else:
                    failure = f"{name}: {_first_line(error)}"
                return Ended(number=number, node=node, result=None, failure=failure)

    def heard(self) -> Sequence[str]:
        """Return the lines that tasks have said and that were not returned before."""
        with suppress(*self._lost):
            return tuple(self._ray.get(self._board.said.remote(), timeout=ANSWER_S))
        return ()

    def enough(self) -> None:
        """Tell the comparisons that run to end with what they have."""
        with suppress(*self._lost):
            self._board.enough.remote()

    def stop(self) -> None:
        """Take back what has not ended: tasks that wait do not begin, those that run end with their processes."""
        for is_forced in (False, True):
            references = list(self._pending.values())
            for reference in references:
                self._ray.cancel(reference, force=is_forced)
            if references:
                wait_s = _STOP_COMPARING_S if self._compares else _STOP_S
                ready, _ = self._ray.wait(references, num_returns=len(references), timeout=wait_s)
                self._pending = {n: reference for n, reference in self._pending.items() if reference not in ready}

    def _on(self, key: str, *, soft: bool = False) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node_id=key, soft=soft)


def _first_line(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    text = next((line.strip() for line in str(cause).splitlines() if line.strip()), "")
    return f"{type(cause).__name__}: {text}" if text else type(cause).__name__
